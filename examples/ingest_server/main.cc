// ingest_server: a server to upload to, for demos and tests. See kUsage.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "console/console.h"
#include "ingest_server/options.h"
#include "ingest_server/server.h"
#include "standard_streams.h"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
// A thread sends it to the main thread when its task is done.
constexpr int kDone = SIGUSR1;
// How long the reader of an output may take for the last lines.
constexpr std::chrono::milliseconds kPrintLimit{500};

// The program, after its command line was parsed. The main thread waits only for signals, because a
// file may be a FIFO without a writer, and an output a pipe without a reader.
class Program {
 public:
  explicit Program(ingest::Options options) : options_(std::move(options)) {}

  // Returns the exit status.
  int Run(const sigset_t& signals);

 private:
  struct Starting {
    std::mutex mutex;
    std::optional<absl::StatusOr<std::unique_ptr<ingest::IngestServer>>> server;
  };

  // The credentials are read on a thread of their own.
  struct Reading {
    std::mutex mutex;
    std::optional<absl::StatusOr<size_t>> count;
  };

  void Say(const std::string& text) { errors_.Print(absl::StrCat("ingest_server: ", text, "\n")); }
  void Reload(ingest::IngestServer& server);
  void EndReload(ingest::IngestServer& server);
  void SayFaults(const ingest::FaultCounts& faults);
  // Ends the process at once if a thread hangs, because exit would wait for it.
  int End(int status) {
    const bool printed = output_.Finish(kPrintLimit);
    if (errors_.Finish(kPrintLimit) && printed && !hangs_) return status;
    ::_exit(status);
  }

  ingest::Options options_;
  console::Console output_{STDOUT_FILENO};
  console::Console errors_{STDERR_FILENO};
  std::shared_ptr<Reading> reading_;  // Null: the credentials are not being read.
  bool read_again_ = false;
  bool hangs_ = false;  // A thread may hang.
};

int Program::Run(const sigset_t& signals) {
  const std::string store = options_.server.store;
  const auto starting = std::make_shared<Starting>();
  std::thread thread([starting, server_options = options_.server, main = ::pthread_self()] {
    auto server = ingest::IngestServer::Start(server_options);
    const std::lock_guard lock(starting->mutex);
    starting->server = std::move(server);
    ::pthread_kill(main, kDone);
  });
  int signal = 0;
  bool reload = false;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload = true;
  if (signal != kDone) {
    thread.detach();
    hangs_ = true;
    return End(0);
  }
  thread.join();
  absl::StatusOr<std::unique_ptr<ingest::IngestServer>> started = *std::move(starting->server);
  if (!started.ok()) {
    Say(std::string(started.status().message()));
    return End(kFailed);
  }
  ingest::IngestServer& server = **started;
  if (options_.print_port) {
    output_.Print(absl::StrCat(server.port(), "\n"));
    output_.Finish(kPrintLimit);
  }
  Say(absl::StrCat("listening on ", server.address(), ", storing in ", store));
  if (reload) Reload(server);
  while (sigwait(&signals, &signal) == 0 && (signal == SIGHUP || signal == kDone)) {
    if (signal == SIGHUP) {
      Reload(server);
    } else {
      EndReload(server);
    }
  }
  server.Shutdown();
  SayFaults(server.fault_counts());
  Say("stopped");
  return End(0);
}

void Program::Reload(ingest::IngestServer& server) {
  if (reading_ != nullptr) {
    // The file may have changed since the reading began.
    read_again_ = true;
    return Say("credentials are still being read; they will be read again afterwards");
  }
  reading_ = std::make_shared<Reading>();
  hangs_ = true;
  std::thread([reading = reading_, &server, main = ::pthread_self()] {
    absl::StatusOr<size_t> count = server.ReloadCredentials();
    const std::lock_guard lock(reading->mutex);
    reading->count = std::move(count);
    ::pthread_kill(main, kDone);
  }).detach();
}

void Program::EndReload(ingest::IngestServer& server) {
  if (reading_ == nullptr) return;
  std::optional<absl::StatusOr<size_t>> count;
  {
    const std::lock_guard lock(reading_->mutex);
    count = std::move(reading_->count);
  }
  if (!count.has_value()) return;
  reading_ = nullptr;
  hangs_ = false;
  Say(count->ok() ? absl::StrCat("credentials read again: ", **count)
                  : absl::StrCat("credentials not read again, the former ones stay: ",
                                 std::string(count->status().message())));
  if (std::exchange(read_again_, false)) Reload(server);
}

void Program::SayFaults(const ingest::FaultCounts& faults) {
  if (faults.failures + faults.stalls + faults.drops == 0) return;
  Say(absl::StrCat("faults: failures=", faults.failures, " stalls=", faults.stalls,
                   " drops=", faults.drops));
}

}  // namespace

int main(int argc, char** argv) {
  OpenClosedStandardStreams(argv);
  absl::StatusOr<ingest::Options> options =
      ingest::ParseOptions(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "ingest_server: %s\nTry ingest_server --help.\n",
                 std::string(options.status().message()).c_str());
    return kWrongUsage;
  }
  if (options->help) {
    std::fputs(ingest::kUsage, stdout);
    return 0;
  }

  // Before any thread, so that all inherit it and the signals wait for sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, kDone}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  // gRPC's own words on a port in use are no help; ours follow. Whoever sets it keeps it.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  return Program(*std::move(options)).Run(signals);
}
