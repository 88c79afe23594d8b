// The command line of ingest_server.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_OPTIONS_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ingest_server/server.h"

namespace ingest {

extern const char kUsage[];

struct Options {
  ServerOptions server;
  bool print_port = false;
  bool help = false;  // Then nothing else is checked.
};

// Takes the arguments after the program's name. INVALID_ARGUMENT says what is wrong with them.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_OPTIONS_H_
