#include "ingest_server/sequence_store.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "ingest_server/former_schema.h"
#include "ingest_server/rfc3339.h"
#include "json/json.h"

namespace ingest {
namespace {

using viam::app::data::v1::CreateSequenceRequest;

constexpr char kSequenceSettings[] = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;  -- A commit is on media when it returns.
)sql";
constexpr char kSequenceColumns[] = R"sql(
    id INTEGER PRIMARY KEY,
    upload_key TEXT,
    part_id TEXT NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    tags TEXT NOT NULL,
    resources TEXT NOT NULL,
    arrived_at TEXT NOT NULL)sql";
constexpr char kSequenceView[] = R"sql(
  CREATE INDEX IF NOT EXISTS sequence_keys ON stored_sequences (upload_key);
  CREATE VIEW IF NOT EXISTS sequences AS
    SELECT part_id, start_time, end_time, tags, resources, upload_key, arrived_at
    FROM stored_sequences ORDER BY id;
)sql";

constexpr char kFindSequence[] =
    "SELECT id FROM stored_sequences WHERE upload_key = ? AND part_id = ? AND start_time = ?"
    " AND end_time = ? AND tags = ? AND resources = ?";
constexpr char kInsert[] =
    "INSERT INTO stored_sequences (upload_key, part_id, start_time, end_time, tags, resources,"
    " arrived_at) VALUES (?, ?, ?, ?, ?, ?, ?)";

absl::Time AsTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Status Check(const CreateSequenceRequest& request) {
  if (request.part_id().empty()) return absl::InvalidArgumentError("part_id is missing");
  if (request.resources().empty()) return absl::InvalidArgumentError("resources is empty");
  if (!request.has_start_time() || !request.has_end_time()) {
    return absl::InvalidArgumentError("start_time and end_time must be set");
  }
  if (ToRfc3339(AsTime(request.end_time())) < ToRfc3339(AsTime(request.start_time()))) {
    return absl::InvalidArgumentError("end_time lies before start_time");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SequenceStore>> SequenceStore::Open(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/ingest.db");
  absl::StatusOr<Database> database = Database::Open(path);
  if (!database.ok()) return datamanager::Wrap(database.status(), path);
  absl::Status status = database->Execute(kSequenceSettings);
  if (status.ok()) {
    status = CreateTable(*database, "stored_sequences", kSequenceColumns, "sequences");
  }
  if (status.ok()) status = database->Execute(kSequenceView);
  if (!status.ok()) return datamanager::Wrap(status, path);
  absl::StatusOr<Statement> find_key = database->Prepare(kFindSequence);
  absl::StatusOr<Statement> insert = database->Prepare(kInsert);
  for (const auto* statement : {&find_key, &insert}) {
    if (!statement->ok()) return datamanager::Wrap(statement->status(), path);
  }
  return std::unique_ptr<SequenceStore>(
      new SequenceStore(path, *std::move(database), *std::move(find_key), *std::move(insert)));
}

absl::StatusOr<int64_t> SequenceStore::Add(const CreateSequenceRequest& request,
                                           std::string_view key) {
  if (absl::Status status = Check(request); !status.ok()) return status;
  datamanager::MutexLock lock(mutex_);
  // Immediate, so that nobody stores a key between our look and our commit.
  if (absl::Status status = database_.Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  absl::StatusOr<int64_t> id = Insert(request, key);
  absl::Status status = id.ok() ? database_.Execute("COMMIT") : id.status();
  if (status.ok()) return id;
  // Fails if SQLite has rolled back by itself, as it does on a full disk.
  database_.Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::StatusOr<int64_t> SequenceStore::Insert(const CreateSequenceRequest& request,
                                              std::string_view key) {
  google::protobuf::RepeatedPtrField<std::string> names;
  for (const auto& resource : request.resources()) {
    *names.Add() = absl::StrCat(resource.resource_name(), " ", resource.method_name());
  }
  const std::string start = ToRfc3339(AsTime(request.start_time()));
  const std::string end = ToRfc3339(AsTime(request.end_time()));
  const std::string tags = json::ToJson(request.sequence_tags());
  const std::string resources = json::ToJson(names);
  if (!key.empty()) {
    std::optional<int64_t> known;
    absl::Status status = find_key_.Run({key, request.part_id(), start, end, tags, resources},
                                        [&](const Row& row) { known = row.Int64(0); });
    if (!status.ok()) return status;
    if (known) return *known;
  }
  const std::string arrived_at = ToRfc3339(absl::Now());
  const Parameter key_or_null = key.empty() ? Parameter(nullptr) : Parameter(key);
  absl::Status status =
      insert_.Run({key_or_null, request.part_id(), start, end, tags, resources, arrived_at});
  if (!status.ok()) return status;
  return database_.LastInsertId();
}

absl::StatusOr<std::vector<ReceivedSequence>> SequenceStore::Rows() const {
  absl::StatusOr<Database> database = Database::Open(path_);
  if (!database.ok()) return database.status();
  absl::StatusOr<Statement> select = database->Prepare("SELECT * FROM sequences");
  if (!select.ok()) return select.status();
  std::vector<ReceivedSequence> rows;
  absl::Status status = select->Run({}, [&](const Row& row) {
    const auto text = [&](int column) { return row.Text(column).value_or(""); };
    rows.push_back({.part_id = text(0),
                    .start_time = text(1),
                    .end_time = text(2),
                    .tags = text(3),
                    .resources = text(4),
                    .upload_key = text(5),
                    .arrived_at = text(6)});
  });
  if (!status.ok()) return status;
  return rows;
}

}  // namespace ingest
