#include "ingest_server/options.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "ingest_server/listen_address.h"

namespace ingest {

const char kUsage[] =
    R"(Usage: ingest_server --listen ADDR --store DIR [--print-port] [--fail SPEC]

A DataSyncService that stores what it gets, drops repeats by key, and answers OK
only once it is durable.

  --listen ADDR   HOST:PORT, where port 0 lets the system choose, or unix:PATH
  --store DIR     where to keep it: DIR/ingest.db (see its view `received`) and DIR/blobs
  --print-port    print the port, alone on the first line of standard output
  --fail SPEC     misbehave; comma-separated:
                    CODE=PROBABILITY        fail with a gRPC status: unavailable=0.1; a stream at
                                            its beginning, in the middle or at its end
                    stall=PROBABILITY       never answer, until the client or the server ends
                    delay=MIN..MAX          wait before each call: delay=5ms..50ms
                    drop-after-store=PROBABILITY
                                            store, then break the connection
                    match=TEXT              only uploads whose file or component name has TEXT
                  At the end, standard error tells how often each struck.
  --help          print this
)";

namespace {

absl::Status Unknown(const std::string& argument) {
  std::string text = absl::StrCat("there is no option ", argument);
  const std::string nearest = datamanager::NearestName(
      argument, {"--listen", "--store", "--print-port", "--fail", "--help"});
  if (!nearest.empty()) absl::StrAppend(&text, "; did you mean ", nearest, "?");
  return absl::InvalidArgumentError(text);
}

}  // namespace

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  std::string fail;
  const std::map<std::string, std::string*> with_value = {
      {"--listen", &options.listen}, {"--store", &options.store}, {"--fail", &fail}};
  const std::map<std::string, bool*> without_value = {{"--print-port", &options.print_port},
                                                      {"--help", &options.help}};
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    if (const auto found = with_value.find(name); found != with_value.end()) {
      std::string value;
      if (equals != std::string::npos) {
        value = arguments[i].substr(equals + 1);
      } else if (i + 1 < arguments.size()) {
        value = arguments[++i];
      }
      if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(name, " needs a value"));
      *found->second = std::move(value);
    } else if (const auto flag = without_value.find(arguments[i]); flag != without_value.end()) {
      *flag->second = true;
    } else {
      return Unknown(name);
    }
  }
  if (options.help) return options;

  if (options.listen.empty()) return absl::InvalidArgumentError("--listen is missing");
  if (options.store.empty()) return absl::InvalidArgumentError("--store is missing");
  if (absl::Status status = CheckListenAddress(options.listen); !status.ok()) {
    return datamanager::Wrap(status, "--listen");
  }
  if (options.print_port && IsUnixAddress(options.listen)) {
    return absl::InvalidArgumentError("--print-port: a unix socket has no port");
  }
  if (!fail.empty()) {
    absl::StatusOr<FaultSpec> faults = FaultSpec::Parse(fail);
    if (!faults.ok()) return datamanager::Wrap(faults.status(), "--fail");
    options.faults = *std::move(faults);
  }
  return options;
}

}  // namespace ingest
