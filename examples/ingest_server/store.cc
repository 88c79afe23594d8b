#include "ingest_server/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file_ops.h"
#include "base/sha256.h"
#include "base/strings.h"
#include "ingest_server/former_schema.h"
#include "ingest_server/rfc3339.h"
#include "json/json.h"

namespace ingest {
namespace {

using datamanager::FileOps;
using datamanager::MutexLock;

constexpr char kSettings[] = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;  -- A commit is on media when it returns.
)sql";

constexpr char kUploadColumns[] = R"sql(
    id INTEGER PRIMARY KEY,
    upload_key TEXT,
    part_id TEXT NOT NULL,
    component_type TEXT NOT NULL,
    component_name TEXT NOT NULL,
    method_name TEXT NOT NULL,
    file_name TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    tags TEXT NOT NULL,
    dataset_ids TEXT NOT NULL,
    metadata BLOB NOT NULL,
    arrived_at TEXT NOT NULL)sql";

// Behind the table `uploads`.
constexpr char kSchema[] = R"sql(
  CREATE TABLE IF NOT EXISTS upload_keys (
    part_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    upload_key TEXT NOT NULL,
    digest TEXT NOT NULL,
    upload_id INTEGER NOT NULL REFERENCES uploads(id),
    PRIMARY KEY (part_id, scope, upload_key, digest)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY,
    upload_id INTEGER NOT NULL REFERENCES uploads(id),
    kind TEXT NOT NULL,
    time_requested TEXT,
    time_received TEXT,
    json TEXT,
    size INTEGER NOT NULL,
    sha256 TEXT,
    annotations TEXT);
  CREATE VIEW IF NOT EXISTS received AS
    SELECT kind, part_id, component_type, component_name, method_name, file_name, time_requested,
           time_received, json, mime_type, size, sha256, tags, dataset_ids, upload_key, arrived_at
    FROM items JOIN uploads ON uploads.id = items.upload_id
    ORDER BY items.id;
)sql";

constexpr char kFindKey[] =
    "SELECT digest, upload_id FROM upload_keys WHERE part_id = ? AND scope = ? AND upload_key = ?";
constexpr char kInsertKey[] =
    "INSERT INTO upload_keys (part_id, scope, upload_key, digest, upload_id) VALUES (?, ?, ?, ?, "
    "?)";
constexpr char kInsertUpload[] =
    "INSERT INTO uploads (upload_key, part_id, component_type, component_name, method_name,"
    " file_name, mime_type, tags, dataset_ids, metadata, arrived_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kInsertItem[] =
    "INSERT INTO items (upload_id, kind, time_requested, time_received, json, size, sha256,"
    " annotations) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

std::string DatabasePath(const std::string& directory) {
  return absl::StrCat(directory, "/ingest.db");
}
std::string BlobDirectory(const std::string& directory) {
  return absl::StrCat(directory, "/blobs");
}

std::string Rfc3339OrEmpty(const std::optional<absl::Time>& time) {
  return time ? ToRfc3339(*time) : "";
}

// Whether a record is sent as a request or as a stream depends on the link.
std::string_view ScopeOf(Kind kind) { return kind == Kind::kFile ? "file" : "capture"; }

// Runs kFindKey. Which content has come with the key: that of `digest`, or any other.
absl::StatusOr<Stored> Look(Statement& find_key, std::string_view part_id, Kind kind,
                            std::string_view key, std::string_view digest) {
  Stored found{.digest = std::string(digest)};
  absl::Status status = find_key.Run({part_id, ScopeOf(kind), key}, [&](const Row& row) {
    if (row.Text(0) == digest) {
      found.already = true;
      found.id = row.Int64(1);
    } else {
      found.key_clashes = true;
    }
  });
  if (!status.ok()) return status;
  return found;
}

Parameter NullIfEmpty(std::string_view text) {
  if (text.empty()) return nullptr;
  return text;
}

}  // namespace

// A call of Add, on its caller's stack.
struct IngestStore::Pending {
  const Upload* upload;
  absl::StatusOr<Stored> stored = absl::UnknownError("not written");
  bool done = false;
};

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kReading:
      return "reading";
    case Kind::kBinary:
      return "binary";
    case Kind::kFile:
      return "file";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<IngestStore>> IngestStore::Open(const std::string& directory) {
  const std::string blobs = BlobDirectory(directory);
  for (const std::string& path : {directory, blobs}) {
    absl::Status status = datamanager::MakeDirectories(FileOps::System(), path);
    if (status.ok())
      status = datamanager::SyncDirectory(FileOps::System(), datamanager::ParentPath(path));
    if (!status.ok()) return status;
  }
  BlobWriter::RemoveAbandoned(blobs);

  const std::string path = DatabasePath(directory);
  absl::StatusOr<Database> database = Database::Open(path);
  if (!database.ok()) return datamanager::Wrap(database.status(), path);
  absl::Status status = database->Execute(kSettings);
  if (status.ok()) status = CreateTable(*database, "uploads", kUploadColumns, "received");
  if (status.ok()) status = database->Execute(kSchema);
  if (!status.ok()) return datamanager::Wrap(status, path);
  absl::StatusOr<Statement> find_key = database->Prepare(kFindKey);
  absl::StatusOr<Statement> insert_key = database->Prepare(kInsertKey);
  absl::StatusOr<Statement> insert_upload = database->Prepare(kInsertUpload);
  absl::StatusOr<Statement> insert_item = database->Prepare(kInsertItem);
  for (const auto* statement : {&find_key, &insert_key, &insert_upload, &insert_item}) {
    if (!statement->ok()) return datamanager::Wrap(statement->status(), path);
  }
  absl::StatusOr<Database> for_finding = Database::Open(path);
  if (!for_finding.ok()) return datamanager::Wrap(for_finding.status(), path);
  absl::StatusOr<Statement> find = for_finding->Prepare(kFindKey);
  if (!find.ok()) return datamanager::Wrap(find.status(), path);
  return std::unique_ptr<IngestStore>(
      new IngestStore(directory,
                      Writer{*std::move(database), *std::move(find_key), *std::move(insert_key),
                             *std::move(insert_upload), *std::move(insert_item)},
                      Finder{*std::move(for_finding), *std::move(find)}));
}

IngestStore::IngestStore(std::string directory, Writer writer, Finder finder)
    : directory_(std::move(directory)), writer_(std::move(writer)), finder_(std::move(finder)) {}

std::string DigestOf(const Upload& upload) {
  if (upload.items.size() == 1 && upload.items[0].kind != Kind::kReading) {
    return upload.items[0].blob.sha256;
  }
  datamanager::Sha256 sha256;
  for (const Item& item : upload.items) {
    const std::string times =
        absl::StrCat(Rfc3339OrEmpty(item.time_requested), ";", Rfc3339OrEmpty(item.time_received));
    for (const std::string& part : {times, item.json, item.blob.sha256, item.annotations}) {
      sha256.Update(absl::StrCat(part.size(), ":"));
      sha256.Update(part);
    }
  }
  return datamanager::ToHex(sha256.Finish());
}

absl::StatusOr<std::optional<Stored>> IngestStore::Find(std::string_view part_id, Kind kind,
                                                        std::string_view key,
                                                        std::string_view digest) {
  MutexLock lock(find_mutex_);
  absl::StatusOr<Stored> found = Look(finder_.find_key, part_id, kind, key, digest);
  if (!found.ok()) return found.status();
  if (!found->already) return std::nullopt;
  return *std::move(found);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> IngestStore::NewBlob() const {
  return BlobWriter::Create(BlobDirectory(directory_));
}

std::string IngestStore::BlobPath(std::string_view sha256) const {
  return absl::StrCat(BlobDirectory(directory_), "/", datamanager::ToAbsl(sha256));
}

// Flushing is what takes time, so whoever finds nobody writing writes for all who wait by then.
absl::StatusOr<Stored> IngestStore::Add(const Upload& upload) {
  Pending own{.upload = &upload};
  std::vector<Pending*> batch;
  {
    MutexLock lock(mutex_);
    queue_.push_back(&own);
    written_.Wait(mutex_, [&] {
      mutex_.AssertHeld();
      return own.done || !writing_;
    });
    if (own.done) return own.stored;
    writing_ = true;
    batch.swap(queue_);
  }
  const absl::Status status = Write(batch);
  {
    MutexLock lock(mutex_);
    for (Pending* pending : batch) {
      if (!status.ok()) pending->stored = status;
      pending->done = true;
    }
    writing_ = false;
  }
  written_.NotifyAll();
  return own.stored;
}

absl::Status IngestStore::Write(const std::vector<Pending*>& batch) {
  absl::Status status;
  const auto has_blob = [](const Item& item) { return !item.blob.sha256.empty(); };
  if (std::any_of(batch.begin(), batch.end(), [&](const Pending* pending) {
        return std::any_of(pending->upload->items.begin(), pending->upload->items.end(), has_blob);
      })) {
    // The names of blobs must last before a row refers to them.
    status = datamanager::SyncDirectory(FileOps::System(), datamanager::ParentPath(BlobPath("")));
    if (!status.ok()) return status;
  }
  // Immediate, so that nobody stores a key between our look and our commit.
  status = writer_.database.Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  for (Pending* pending : batch) {
    pending->stored = Insert(*pending->upload);
    status = pending->stored.status();
    if (!status.ok()) break;
  }
  if (status.ok()) status = writer_.database.Execute("COMMIT");
  if (!status.ok()) {
    // Fails if SQLite has rolled back by itself, as it does on a full disk.
    writer_.database.Execute("ROLLBACK").IgnoreError();
  }
  return status;
}

absl::StatusOr<Stored> IngestStore::Insert(const Upload& upload) {
  const Kind kind = upload.items.empty() ? Kind::kReading : upload.items[0].kind;
  Stored stored{.digest = DigestOf(upload)};
  if (!upload.key.empty()) {
    absl::StatusOr<Stored> found =
        Look(writer_.find_key, upload.metadata.part_id(), kind, upload.key, stored.digest);
    if (!found.ok() || found->already) return found;
    stored = *std::move(found);
  }

  const auto& metadata = upload.metadata;
  const std::string tags = json::ToJson(metadata.tags());
  const std::string dataset_ids = json::ToJson(metadata.dataset_ids());
  const std::string serialized = metadata.SerializeAsString();
  const std::string arrived_at = ToRfc3339(absl::Now());
  absl::Status status = writer_.insert_upload.Run(
      {NullIfEmpty(upload.key), metadata.part_id(), metadata.component_type(),
       metadata.component_name(), metadata.method_name(), metadata.file_name(),
       metadata.mime_type(), tags, dataset_ids, BlobView{serialized}, arrived_at});
  if (!status.ok()) return status;
  stored.id = writer_.database.LastInsertId();
  if (!upload.key.empty()) {
    status = writer_.insert_key.Run(
        {metadata.part_id(), ScopeOf(kind), upload.key, stored.digest, stored.id});
    if (!status.ok()) return status;
  }

  for (const Item& item : upload.items) {
    const bool reading = item.kind == Kind::kReading;
    const std::string time_requested = Rfc3339OrEmpty(item.time_requested);
    const std::string time_received = Rfc3339OrEmpty(item.time_received);
    status = writer_.insert_item.Run(
        {stored.id, KindName(item.kind), NullIfEmpty(time_requested), NullIfEmpty(time_received),
         NullIfEmpty(item.json), reading ? static_cast<int64_t>(item.json.size()) : item.blob.size,
         NullIfEmpty(item.blob.sha256), NullIfEmpty(item.annotations)});
    if (!status.ok()) return status;
  }
  return stored;
}

// Queries have a connection of their own each: in WAL mode they neither wait for the writer nor
// hold it up.
absl::StatusOr<std::vector<Received>> IngestStore::Rows() const {
  absl::StatusOr<Database> database = Database::Open(DatabasePath(directory_));
  if (!database.ok()) return database.status();
  absl::StatusOr<Statement> select = database->Prepare("SELECT * FROM received");
  if (!select.ok()) return select.status();
  std::vector<Received> rows;
  absl::Status status = select->Run({}, [&](const Row& row) {
    const auto text = [&](int column) { return row.Text(column).value_or(""); };
    rows.push_back({.kind = text(0),
                    .part_id = text(1),
                    .component_type = text(2),
                    .component_name = text(3),
                    .method_name = text(4),
                    .file_name = text(5),
                    .time_requested = text(6),
                    .time_received = text(7),
                    .json = text(8),
                    .mime_type = text(9),
                    .size = row.Int64(10),
                    .sha256 = text(11),
                    .tags = text(12),
                    .dataset_ids = text(13),
                    .upload_key = text(14),
                    .arrived_at = text(15)});
  });
  if (!status.ok()) return status;
  return rows;
}

absl::StatusOr<int64_t> IngestStore::Count(std::string_view component_name, Kind kind) const {
  absl::StatusOr<Database> database = Database::Open(DatabasePath(directory_));
  if (!database.ok()) return database.status();
  absl::StatusOr<Statement> select =
      database->Prepare("SELECT count(*) FROM received WHERE component_name = ? AND kind = ?");
  if (!select.ok()) return select.status();
  int64_t count = 0;
  absl::Status status =
      select->Run({component_name, KindName(kind)}, [&](const Row& row) { count = row.Int64(0); });
  if (!status.ok()) return status;
  return count;
}

}  // namespace ingest
