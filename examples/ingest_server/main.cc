// ingest_server: a server to upload to, for demos and tests. See kUsage.
#include <signal.h>
#include <stdlib.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "ingest_server/options.h"
#include "ingest_server/server.h"
#include "standard_streams.h"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "ingest_server: %s\n", std::string(status.message()).c_str());
  if (code == kWrongUsage) std::fputs("Try ingest_server --help.\n", stderr);
  return code;
}

void Reload(ingest::IngestServer& server) {
  const absl::StatusOr<size_t> count = server.ReloadCredentials();
  if (count.ok()) {
    std::fprintf(stderr, "ingest_server: credentials read again: %zu\n", *count);
  } else {
    std::fprintf(stderr, "ingest_server: credentials not read again, the former ones stay: %s\n",
                 std::string(count.status().message()).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  OpenClosedStandardStreams();
  absl::StatusOr<ingest::Options> options =
      ingest::ParseOptions(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) return Fail(options.status(), kWrongUsage);
  if (options->help) {
    std::fputs(ingest::kUsage, stdout);
    return 0;
  }

  // Before any thread, so that all inherit it and the signals wait for sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  // gRPC's own words on a port in use are no help; ours follow. Whoever sets it keeps it.
  setenv("GRPC_VERBOSITY", "NONE", 0);

  const std::string store = options->server.store;
  auto server = ingest::IngestServer::Start(std::move(options->server));
  if (!server.ok()) return Fail(server.status(), kFailed);
  if (options->print_port) {
    std::printf("%d\n", (*server)->port());
    std::fflush(stdout);
  }
  std::fprintf(stderr, "ingest_server: listening on %s, storing in %s\n",
               (*server)->address().c_str(), store.c_str());
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) Reload(**server);
  (*server)->Shutdown();
  const ingest::FaultCounts faults = (*server)->fault_counts();
  if (faults.failures + faults.stalls + faults.drops > 0) {
    std::fprintf(stderr, "ingest_server: faults: failures=%llu stalls=%llu drops=%llu\n",
                 static_cast<unsigned long long>(faults.failures),
                 static_cast<unsigned long long>(faults.stalls),
                 static_cast<unsigned long long>(faults.drops));
  }
  std::fputs("ingest_server: stopped\n", stderr);
  return 0;
}
