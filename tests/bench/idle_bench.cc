// P9, P10, and memory as the backlog grows: what a data manager takes when there is nothing to do,
// and how little more when there is much.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "tests/bench/bare_client.h"
#include "tests/bench/benches.h"
#include "tests/bench/child.h"
#include "tests/bench/curves.h"
#include "tests/bench/records.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

// The number behind `key` in a status file of /proc.
double StatusOf(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, key + ":")) return std::stod(line.substr(key.size() + 1));
  }
  throw Broken(absl::StrCat(path, " has no ", key));
}

double MebibytesOf(pid_t pid, const std::string& key) {
  return StatusOf(absl::StrCat("/proc/", pid, "/status"), key) / 1024;
}

// What a process has used so far, over all its threads.
struct Usage {
  double cpu_seconds = 0;
  double wakeups = 0;  // Each of them was waited for.
};
Usage UsageOf(pid_t pid) {
  Usage usage;
  for (const auto& task :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"))) {
    double nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    usage.cpu_seconds += nanoseconds * 1e-9;
    usage.wakeups += StatusOf(task.path() / "status", "voluntary_ctxt_switches");
  }
  return usage;
}

std::unique_ptr<Child> Start(const Settings& settings, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), settings.programs + "/bench_process");
  auto child = std::make_unique<Child>(std::move(arguments));
  Require(child->ReadLine() == "ready", "bench_process is not ready");
  return child;
}

// A data manager on directories of its own.
struct Manager {
  Manager(const Settings& settings, const std::string& address)
      : directory(settings.directory),
        process(Start(settings, {"manager", address, directory.path()})) {
    std::filesystem::create_directories(directory.path() + "/files");
  }

  void Sync(const std::string& how_much) const {
    process->WriteLine("sync " + how_much);
    Require(process->ReadLine() == "done", "Sync fails");
  }
  double Resident() const { return MebibytesOf(process->pid(), "VmRSS"); }
  // The most that was resident since the last call.
  double MostResident() const {
    const double most = MebibytesOf(process->pid(), "VmHWM");
    std::ofstream(absl::StrCat("/proc/", process->pid(), "/clear_refs")) << "5";
    return most;
  }

  const testing::TempDir directory{testing::DiskDirectory()};
  const std::unique_ptr<Child> process;
};

// Capture files of 100 collectors, made elsewhere, so that none is uploaded before all are there.
void FillBacklog(const Settings& settings, const Manager& manager, size_t count) {
  const TabularFile file = TabularFileOf(500);
  const WallTime begin = Clock::System().WallNow() - std::chrono::hours(1);
  const testing::TempDir made(settings.directory);
  for (size_t i = 0; i < count; ++i) {
    const std::string directory = absl::StrCat(made.path(), "/sensor-", i % 100);
    if (i < 100) std::filesystem::create_directory(directory);
    const UniqueFd fd(
        ::open(absl::StrCat(directory, "/",
                            capture_file::CompleteName(begin + std::chrono::microseconds(i)))
                   .c_str(),
               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    Require(::write(fd.get(), file.bytes.data(), file.bytes.size()) ==
                static_cast<ssize_t>(file.bytes.size()),
            "cannot write the backlog");
  }
  std::filesystem::rename(made.path(), manager.directory.path() + "/capture/sensors");
}

}  // namespace

std::vector<Row> Idle(const Settings& settings) {
  BenchServer server(settings, {});
  struct Observed {
    pid_t pid;
    std::vector<double>* measured;
    Usage before;
  };
  // All side by side, so that the machine is the same for all.
  std::vector<Round> rounds(static_cast<size_t>(settings.Rounds(7)));
  std::vector<std::unique_ptr<Child>> channels;
  std::vector<std::unique_ptr<Manager>> managers;
  std::vector<Observed> observed;
  for (Round& round : rounds) {
    managers.push_back(std::make_unique<Manager>(settings, server.address()));
    observed.push_back({managers.back()->process->pid(), &round.subject, {}});
    for (std::vector<double>* baseline : {&round.baseline, &round.baseline_again}) {
      channels.push_back(Start(settings, {"channel", server.address()}));
      observed.push_back({channels.back()->pid(), baseline, {}});
    }
  }
  // What they do once at their start is over.
  std::this_thread::sleep_for(std::chrono::milliseconds(settings.brief ? 10 : 5000));
  for (Observed& process : observed) process.before = UsageOf(process.pid);
  const double seconds = settings.brief ? 0.1 : 60;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  for (const Observed& process : observed) {
    const Usage after = UsageOf(process.pid);
    *process.measured = {(after.cpu_seconds - process.before.cpu_seconds) / seconds * 100,
                         (after.wakeups - process.before.wakeups) / seconds,
                         MebibytesOf(process.pid, "VmRSS")};
  }
  const auto more = Figure::Against::kDifference;
  return RowsOf("P10",
                {{.what = "idle for 60 s, beyond a channel: CPU",
                  .bound = 0.1,
                  .unit = "% of a core",
                  .against = more},
                 {.what = "idle for 60 s, beyond a channel: wake-ups",
                  .bound = 20,
                  .unit = "/s",
                  .against = more},
                 {.what = "idle for 60 s, beyond a channel: resident",
                  .bound = 8,
                  .unit = "MiB",
                  .against = more}},
                rounds);
}

std::vector<Row> Memory(const Settings& settings) {
  BenchServer server(settings, {});
  const auto compare = [&](const std::string& what, double bound,
                           const std::function<void(const Manager&)>& work) {
    const auto subject = [&]() -> std::vector<double> {
      const Manager manager(settings, server.address());
      const double idle = manager.Resident();
      manager.MostResident();
      work(manager);
      return {manager.MostResident() - idle};
    };
    const auto nothing = [&]() -> std::vector<double> {
      const Manager manager(settings, server.address());
      const double idle = manager.Resident();
      manager.MostResident();
      manager.Sync("all");
      return {manager.MostResident() - idle};
    };
    return Compare(
        "P9", settings.Rounds(7),
        {{.what = what, .bound = bound, .unit = "MiB", .against = Figure::Against::kDifference}},
        subject, nothing);
  };
  std::vector<Row> rows =
      compare("memory beyond idle, a backlog of 1,000,000 files", 4, [&](const Manager& manager) {
        server.TakeCounts();
        FillBacklog(settings, manager, settings.Size(1000000, 100));
        const size_t some = settings.Size(20000, 50);
        manager.Sync(absl::StrCat(some));
        Require(server.TakeCounts().calls >= some, "files of the backlog did not arrive");
      });
  const uint64_t size = settings.brief ? 1 << 20 : uint64_t{4} << 30;
  for (Row& row : compare("memory beyond idle, a file of 4 GiB", 8, [&](const Manager& manager) {
         const std::string path = manager.directory.path() + "/files/large";
         {
           const UniqueFd fd(::open((manager.directory.path() + "/large").c_str(),
                                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
           const timespec times[] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
           Require(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0 &&
                       ::futimens(fd.get(), times) == 0,
                   "cannot make the large file");
         }
         server.TakeCounts();
         std::filesystem::rename(manager.directory.path() + "/large", path);
         manager.Sync("all");
         const Counts counts = server.TakeCounts();
         Require(counts.bytes >= size && counts.calls == 1, "the large file did not arrive");
       })) {
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Curve> BacklogMemory(const Settings& settings) {
  BenchServer server(settings, {});
  std::vector<Curve> curves = {{.id = "backlog_memory",
                                .title = "Memory of a process that uploads the backlog",
                                .x_axis = {.what = "files waiting", .unit = ""},
                                .y_axis = {.what = "resident beyond idle", .unit = "MiB"},
                                .log_y = false,
                                .x = settings.brief ? std::vector<double>{10, 100}
                                                    : std::vector<double>{100, 1e3, 1e4, 1e5, 1e6},
                                .series = {}}};
  const auto beyond_idle = [&](size_t index, size_t uploads) -> std::vector<double> {
    const auto files = static_cast<size_t>(curves[0].x[index]);
    const size_t some = std::min(files, uploads);
    const Manager manager(settings, server.address());
    const double idle = manager.Resident();
    manager.MostResident();
    server.TakeCounts();
    FillBacklog(settings, manager, uploads == 0 ? 0 : files);
    manager.Sync(uploads == 0 ? "all" : absl::StrCat(some));
    Require(server.TakeCounts().calls >= some, "files of the backlog did not arrive");
    return {manager.MostResident() - idle};
  };
  Measure(curves, settings.Rounds(3),
          {{.kind = Series::Kind::kSubject,
            .name = "until 100 are uploaded",
            .run = [&](size_t index) { return beyond_idle(index, settings.Size(100, 10)); }},
           {.kind = Series::Kind::kBaseline,
            .name = "none wait, none uploaded",
            .run = [&](size_t index) { return beyond_idle(index, 0); }},
           {.kind = Series::Kind::kSubject,
            .name = "until 20,000 are, or all",
            .run = [&](size_t index) { return beyond_idle(index, settings.Size(20000, 50)); }}});
  return curves;
}

}  // namespace datamanager::bench
