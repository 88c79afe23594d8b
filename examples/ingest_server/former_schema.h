// Databases that an older version made.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_FORMER_SCHEMA_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_FORMER_SCHEMA_H_

#include <string_view>

#include "absl/status/status.h"
#include "ingest_server/database.h"

namespace ingest {

// Creates `table` with `columns` if it is not there. One whose upload keys are unique, as they were
// before they counted with the content, is rebuilt with these columns, and `view`, which is made of
// it, dropped. Its rows stay.
absl::Status CreateTable(Database& database, std::string_view table, std::string_view columns,
                         std::string_view view);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_FORMER_SCHEMA_H_
