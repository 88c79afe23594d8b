// Small files that the command line names: credentials, keys, certificates.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_INPUT_FILE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_INPUT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace ingest {

// The content of `path`, a file or a pipe. Errors name the path, never the content.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// The same, with a warning on standard error if others than its owner may read it.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_INPUT_FILE_H_
