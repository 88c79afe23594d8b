#include "ingest_server/options.h"

#include <chrono>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "ingest_server/listen_address.h"

namespace ingest {

const char kUsage[] =
    R"(Usage: ingest_server --listen ADDR --store DIR [OPTION]...

A DataSyncService that stores what it gets, drops repeats by key, and answers OK
only once it is durable.

  --listen ADDR   HOST:PORT, where port 0 lets the system choose, or unix:PATH
  --store DIR     where to keep it: DIR/ingest.db (see its view `received`) and DIR/blobs
  --print-port    print the port, alone on the first line of standard output

  --credentials FILE
                  only clients that FILE names may upload, after proto.rpc.v1.AuthService has given
                  them a token: {"api_keys": [{"id": "ID", "key": "KEY"}],
                                 "robot_secrets": [{"id": "PART", "secret": "SECRET"}]}
                  SIGHUP has it read again; what is gone from it is revoked, its tokens too. No
                  token outlives the server.
  --token-lifetime DURATION
                  how long a token is good, in whole seconds; 15m without it

  --tls-certificate FILE, --tls-key FILE
                  serve TLS (1.2 or later) with this certificate, and what leads to its root, in PEM
                  format, and its key; else plaintext
  --client-ca FILE
                  demand certificates of clients that one of these has signed

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

Messages may have up to 32 MiB. Secrets and tokens are never printed or stored.
)";

namespace {

absl::Status Unknown(const std::string& argument, const std::vector<std::string>& known) {
  std::string text = absl::StrCat("there is no option ", argument);
  const std::string nearest = datamanager::NearestName(argument, known);
  if (!nearest.empty()) absl::StrAppend(&text, "; did you mean ", nearest, "?");
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<std::chrono::seconds> ParseSeconds(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::Seconds(1) ||
      duration > absl::Hours(24 * 365) || duration % absl::Seconds(1) != absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" is no duration in whole seconds; write it like 30s, 5m, 1h or 1m30s"));
  }
  return absl::ToChronoSeconds(duration);
}

absl::Status CheckTls(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(files.key.empty() ? "--tls-certificate needs --tls-key"
                                                        : "--tls-key needs --tls-certificate");
  }
  if (files.certificate.empty() && !files.client_ca.empty()) {
    return absl::InvalidArgumentError("--client-ca needs --tls-certificate and --tls-key");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  ServerOptions& server = options.server;
  std::string fail;
  std::string token_lifetime;
  const std::map<std::string, std::string*> with_value = {
      {"--listen", &server.listen},
      {"--store", &server.store},
      {"--credentials", &server.credentials},
      {"--token-lifetime", &token_lifetime},
      {"--tls-certificate", &server.tls.certificate},
      {"--tls-key", &server.tls.key},
      {"--client-ca", &server.tls.client_ca},
      {"--fail", &fail}};
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
      std::vector<std::string> known;
      for (const auto& [flag_name, value] : with_value) known.push_back(flag_name);
      for (const auto& [flag_name, value] : without_value) known.push_back(flag_name);
      return Unknown(name, known);
    }
  }
  if (options.help) return options;

  if (server.listen.empty()) return absl::InvalidArgumentError("--listen is missing");
  if (server.store.empty()) return absl::InvalidArgumentError("--store is missing");
  if (absl::Status status = CheckListenAddress(server.listen); !status.ok()) {
    return datamanager::Wrap(status, "--listen");
  }
  if (options.print_port && IsUnixAddress(server.listen)) {
    return absl::InvalidArgumentError("--print-port: a unix socket has no port");
  }
  if (absl::Status status = CheckTls(server.tls); !status.ok()) return status;
  if (!token_lifetime.empty()) {
    if (server.credentials.empty()) {
      return absl::InvalidArgumentError("--token-lifetime needs --credentials");
    }
    const absl::StatusOr<std::chrono::seconds> lifetime = ParseSeconds(token_lifetime);
    if (!lifetime.ok()) return datamanager::Wrap(lifetime.status(), "--token-lifetime");
    server.token_lifetime = *lifetime;
  }
  if (!fail.empty()) {
    absl::StatusOr<FaultSpec> faults = FaultSpec::Parse(fail);
    if (!faults.ok()) return datamanager::Wrap(faults.status(), "--fail");
    server.faults = *std::move(faults);
  }
  return options;
}

}  // namespace ingest
