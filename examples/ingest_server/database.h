// SQLite with RAII and absl::Status, as much of it as the store needs.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_DATABASE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_DATABASE_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ingest {

// What a parameter is bound to: NULL, an integer, a text or a blob.
struct BlobView {
  std::string_view bytes;
};
using Parameter = std::variant<std::nullptr_t, int64_t, std::string_view, BlobView>;

// A row of a result, while its callback runs.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}

  int64_t Int64(int column) const;
  std::optional<std::string> Text(int column) const;

 private:
  sqlite3_stmt* const statement_;
};

// A prepared statement. Must not outlive its Database; one thread at a time.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Runs it with `parameters` in order and calls `on_row` for each row.
  absl::Status Run(std::initializer_list<Parameter> parameters,
                   const std::function<void(const Row&)>& on_row = {});

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// A connection. One thread at a time.
class Database {
 public:
  // Creates the file if it is not there.
  static absl::StatusOr<Database> Open(const std::string& path);

  // Runs any number of statements that return no rows.
  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(const char* sql);
  int64_t LastInsertId() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}

  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_DATABASE_H_
