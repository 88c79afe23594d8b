#include "ingest_server/former_schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"

namespace ingest {
namespace {

using datamanager::ToAbsl;

constexpr char kHasUniqueKeys[] =
    "SELECT 1 FROM sqlite_master WHERE name = ? AND sql LIKE '%upload_key TEXT UNIQUE%'";

// ALTER TABLE cannot drop a constraint.
constexpr char kRebuild[] = R"sql(
  BEGIN IMMEDIATE;
  CREATE TABLE new_TABLE (COLUMNS);
  INSERT INTO new_TABLE SELECT * FROM TABLE;
  DROP VIEW IF EXISTS VIEW;
  DROP TABLE TABLE;
  ALTER TABLE new_TABLE RENAME TO TABLE;
  COMMIT;
)sql";

}  // namespace

absl::Status CreateTable(Database& database, std::string_view table, std::string_view columns,
                         std::string_view view) {
  const std::string create =
      absl::StrCat("CREATE TABLE IF NOT EXISTS ", ToAbsl(table), " (", ToAbsl(columns), ")");
  if (absl::Status status = database.Execute(create.c_str()); !status.ok()) return status;
  bool has_unique_keys = false;
  {
    absl::StatusOr<Statement> look = database.Prepare(kHasUniqueKeys);
    if (!look.ok()) return look.status();
    absl::Status status = look->Run({table}, [&](const Row&) { has_unique_keys = true; });
    if (!status.ok() || !has_unique_keys) return status;
  }
  const std::string rebuild = absl::StrReplaceAll(
      kRebuild, {{"new_TABLE", absl::StrCat("new_", ToAbsl(table))},
                 {"DROP TABLE TABLE", absl::StrCat("DROP TABLE ", ToAbsl(table))},
                 {"TO TABLE", absl::StrCat("TO ", ToAbsl(table))},
                 {"FROM TABLE", absl::StrCat("FROM ", ToAbsl(table))},
                 {"COLUMNS", ToAbsl(columns)},
                 {"EXISTS VIEW", absl::StrCat("EXISTS ", ToAbsl(view))}});
  return database.Execute(rebuild.c_str());
}

}  // namespace ingest
