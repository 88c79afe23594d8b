#include "ingest_server/database.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"

namespace ingest {
namespace {

// For another process that has the same store open.
constexpr int kBusyTimeoutMs = 5000;

absl::Status ErrorOf(sqlite3* connection) {
  const std::string text = absl::StrCat("sqlite: ", sqlite3_errmsg(connection));
  switch (sqlite3_errcode(connection)) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_BUSY:
      return absl::UnavailableError(text);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InternalError(text);
  }
}

struct Bind {
  sqlite3_stmt* statement;
  int index;

  // What is bound outlives the run, after which it is unbound.
  void operator()(std::nullptr_t) const { sqlite3_bind_null(statement, index); }
  void operator()(int64_t number) const { sqlite3_bind_int64(statement, index, number); }
  void operator()(std::string_view text) const {
    sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void operator()(BlobView blob) const {
    // A blob without an address would be NULL.
    const void* data = blob.bytes.empty() ? "" : blob.bytes.data();
    sqlite3_bind_blob64(statement, index, data, blob.bytes.size(), SQLITE_STATIC);
  }
};

}  // namespace

int64_t Row::Int64(int column) const { return sqlite3_column_int64(statement_, column); }

std::optional<std::string> Row::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return std::nullopt;
  return std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

absl::Status Statement::Run(std::initializer_list<Parameter> parameters,
                            const std::function<void(const Row&)>& on_row) {
  sqlite3_stmt* const statement = statement_.get();
  for (int index = 1; const Parameter& parameter : parameters) {
    std::visit(Bind{statement, index++}, parameter);
  }
  int result = sqlite3_step(statement);
  for (; result == SQLITE_ROW; result = sqlite3_step(statement)) {
    if (on_row) on_row(Row(statement));
  }
  absl::Status status;
  if (result != SQLITE_DONE) status = ErrorOf(sqlite3_db_handle(statement));
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

absl::StatusOr<Database> Database::Open(const std::string& path) {
  sqlite3* connection = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(connection);
  if (result != SQLITE_OK) return ErrorOf(connection);
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  return database;
}

absl::Status Database::Execute(const char* sql) {
  if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return ErrorOf(connection_.get());
  }
  return absl::OkStatus();
}

absl::StatusOr<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return ErrorOf(connection_.get());
  }
  return Statement(statement);
}

int64_t Database::LastInsertId() const { return sqlite3_last_insert_rowid(connection_.get()); }

}  // namespace ingest
