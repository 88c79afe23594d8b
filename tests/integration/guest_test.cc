// The library as a guest in an embedder's process: the embedder's code hangs, throws, calls back or
// forks, and systems refuse calls.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "datamanager/data_manager.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "tests/support/files.h"
#include "tests/support/forbid_syscall.h"
#include "tests/support/gate.h"
#include "tests/support/log_capture.h"
#include "tests/support/run_in_child.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ReadingsMessage = wire::viam::common::v1::GetReadingsResponse;

constexpr char kSensor[] = "rdk:component:sensor";
// Allowance for a loaded machine, on top of a bound.
constexpr std::chrono::seconds kSlack{3};

class GuestTest : public ::testing::Test {
 protected:
  GuestTest() {
    setenv("HOME", temp_.path().c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no thread yet.
    unsetenv("VIAM_HOME");                    // NOLINT(concurrency-mt-unsafe)
    config_.capture_dir = temp_.path() + "/capture";
    options_.logger = log_.sink();
  }
  ~GuestTest() override {
    gate_->Open();
    manager_.reset();
    if (HasFailure()) std::fprintf(stderr, "the log:\n%s", log_.Text().c_str());
  }

  void Create() {
    auto manager = DataManager::Create(options_);
    ASSERT_TRUE(manager.ok()) << manager.status();
    manager_ = *std::move(manager);
  }
  void Start() {
    ASSERT_NO_FATAL_FAILURE(Create());
    const auto result = Reconfigure();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(result->refused.empty()) << result->refused.front().status;
  }
  absl::StatusOr<ReconfigureResult> Reconfigure() {
    return manager_->Reconfigure(config_, sources_);
  }
  void Collect(const std::string& name) {
    config_.collectors.push_back(
        {.api = kSensor, .name = name, .method = "Readings", .capture_frequency_hz = 200});
  }
  void AddSensor(const std::string& name, ReadingsSource source) {
    sources_.AddReadings(kSensor, name, std::move(source));
    Collect(name);
  }
  void AddSensor(const std::string& name) {
    AddSensor(name, [](const CaptureRequest&, Readings& out) {
      out.Set("value", 1);
      return absl::OkStatus();
    });
  }
  CollectorStats StatsOf(const std::string& name) const {
    for (const CollectorStats& stats : manager_->Stats().collectors) {
      if (stats.name == name) return stats;
    }
    return {};
  }
  bool WaitForCaptured(const std::string& name, uint64_t more = 2) const {
    const uint64_t before = StatsOf(name).captured;
    return WaitUntil([&] { return StatsOf(name).captured >= before + more; });
  }
  template <typename Call>
  std::chrono::nanoseconds TimeOf(const Call& call) const {
    const auto begin = std::chrono::steady_clock::now();
    call();
    return std::chrono::steady_clock::now() - begin;
  }

  const TempDir temp_;
  const LogCapture log_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  DataManagerOptions options_;
  Sources sources_;
  Config config_;
  std::unique_ptr<DataManager> manager_;
};

// --- Stop callbacks ---

// A stop callback that hangs at the gate, registered during a call, kept until the test ends.
struct SlowToStop {
  explicit SlowToStop(std::shared_ptr<Gate> the_gate) : gate(std::move(the_gate)) {}
  void Register(const std::stop_token& stop) {
    const std::lock_guard lock(mutex);
    if (!callback.has_value()) callback.emplace(stop, [this] { gate->Pass(); });
  }
  const std::shared_ptr<Gate> gate;
  std::mutex mutex;
  std::optional<std::stop_callback<std::function<void()>>> callback;
};

TEST_F(GuestTest, AStopCallbackThatHangsHoldsUpCloseNoLongerThanASource) {
  // Registered beyond the call, so that it runs between two calls.
  const auto slow = std::make_shared<SlowToStop>(gate_);
  AddSensor("slow", [slow](const CaptureRequest& request, Readings& out) {
    slow->Register(request.stop);
    out.Set("value", 1);
    return absl::OkStatus();
  });
  // It runs while the source waits for it.
  const auto inside = std::make_shared<std::atomic<bool>>(false);
  AddSensor("waits", [gate = gate_, inside](const CaptureRequest& request, Readings&) {
    Gate until_told;
    until_told.Close();
    const std::stop_callback tell(request.stop, [&] {
      gate->Pass();
      until_told.Open();
    });
    *inside = true;
    until_told.Pass();
    return absl::CancelledError("told to stop");
  });
  AddSensor("good");
  options_.close_timeout = 100ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("slow"));
  ASSERT_TRUE(WaitForCaptured("good"));
  ASSERT_TRUE(WaitUntil([&] { return inside->load(); }));
  gate_->Close();
  absl::Status closed;
  EXPECT_LT(TimeOf([&] { closed = manager_->Close(); }), 1100ms + kSlack);
  EXPECT_EQ(closed.code(), absl::StatusCode::kDeadlineExceeded) << closed;
  for (const char* name : {"sensor/slow", "sensor/waits"}) {
    EXPECT_NE(closed.message().find(name), std::string::npos) << closed;
  }
  EXPECT_EQ(closed.message().find("sensor/good"), std::string::npos) << closed;
  EXPECT_TRUE(FilesBelow(config_.capture_dir, ".prog").empty());
  gate_->Open();
  // Its threads release what they share with the test.
  sources_ = {};
  manager_.reset();
  EXPECT_TRUE(WaitUntil([&] { return slow.use_count() == 1; }));
}

TEST_F(GuestTest, AStopCallbackThatHangsHoldsUpReconfigureNoLongerThanASource) {
  const auto slow = std::make_shared<SlowToStop>(gate_);
  sources_.AddReadings(kSensor, "asked", [slow](const CaptureRequest& request, Readings& out) {
    slow->Register(request.stop);
    out.Set("controls", ValueList());
    return absl::OkStatus();
  });
  config_.capture_control_sensor = {.name = "asked", .key = "controls"};
  AddSensor("good");
  Start();
  ASSERT_TRUE(WaitForCaptured("good"));
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().control.answers > 0; }));
  gate_->Close();
  config_.capture_control_sensor = {};
  absl::StatusOr<ReconfigureResult> result;
  EXPECT_LT(TimeOf([&] { result = Reconfigure(); }), 1s + kSlack);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->still_running, std::vector<std::string>{"sensor asked"});
  EXPECT_TRUE(WaitForCaptured("good"));
  gate_->Open();
  EXPECT_TRUE(WaitUntil([&] { return Reconfigure()->still_running.empty(); }));
}

// --- Exceptions ---

TEST_F(GuestTest, AMakeThatThrowsRefusesItsCollectorAndNothingStaysBehind) {
  const auto throws = std::make_shared<std::atomic<bool>>(true);
  const MessageSource source{
      .make = [throws]() -> std::shared_ptr<google::protobuf::Message> {
        if (*throws) throw std::runtime_error("no such class");
        return std::make_shared<ReadingsMessage>();
      },
      .fill =
          [](const CaptureRequest&, Messages& out) {
            (*static_cast<ReadingsMessage&>(out.Add()).mutable_readings())["value"].set_bool_value(
                true);
            return absl::OkStatus();
          }};
  sources_.AddMessages(kSensor, "throws", "Readings", source);
  Collect("throws");
  AddSensor("good");
  config_.capture_control_sensor = {.name = "throws", .key = "controls"};
  config_.selective_syncer_name = "throws";
  ASSERT_NO_FATAL_FAILURE(Create());
  for (int i = 0; i < 2; ++i) {
    const auto result = Reconfigure();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->refused.size(), 3U);
    for (const ReconfigureResult::Refused& refused : result->refused) {
      EXPECT_EQ(refused.status.code(), absl::StatusCode::kInternal) << refused.status;
      EXPECT_NE(refused.status.message().find("no such class"), std::string::npos);
    }
    EXPECT_TRUE(WaitForCaptured("good"));
  }
  *throws = false;
  const auto result = Reconfigure();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->refused.empty());
  EXPECT_TRUE(WaitForCaptured("throws"));
  // At run time, a `make` that throws is a failed tick.
  *throws = true;
  EXPECT_TRUE(manager_->Close().ok());
}

TEST_F(GuestTest, ASourceThatFindsNoMemoryIsAFailedTick) {
  AddSensor("hungry",
            [](const CaptureRequest&, Readings&) -> absl::Status { throw std::bad_alloc(); });
  Start();
  EXPECT_TRUE(WaitUntil([&] { return StatsOf("hungry").source_errors >= 2; }));
  EXPECT_NE(StatsOf("hungry").last_error.find("found no memory"), std::string::npos);
  EXPECT_TRUE(manager_->Close().ok());
}

// --- Calls back into the manager ---

// Makes all calls that must not wait for the thread they are made on.
class Caller {
 public:
  void Call(DataManager& manager) {
    const std::lock_guard lock(mutex_);
    for (absl::Status status :
         {manager.Reconfigure({}, {}).status(), manager.Sync(), manager.Flush(), manager.Close(),
          manager.UploadBinaryDataToDatasets("data", {}, ""),
          manager.UploadDataFromPath("/nowhere").status, manager.RetryFailed().status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    }
    manager.Stats();
    ++calls_;
  }
  int calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  int calls_ = 0;
};

TEST_F(GuestTest, CallsFromWhateverTheLibraryRunsAreRefusedAndNeverHang) {
  const auto in_stop = std::make_shared<Caller>();
  const auto in_destructor = std::make_shared<Caller>();
  const auto in_make = std::make_shared<Caller>();
  const auto inside = std::make_shared<std::atomic<bool>>(false);
  AddSensor("stops", [this, in_stop, inside](const CaptureRequest& request, Readings&) {
    Gate until_told;
    until_told.Close();
    const std::stop_callback tell(request.stop, [&] {
      in_stop->Call(*manager_);
      until_told.Open();
    });
    *inside = true;
    until_told.Pass();
    return absl::CancelledError("told to stop");
  });
  // The destructor of a source calls it, on whichever thread the last copy dies.
  const auto last_words = [this, in_destructor](int* /*none*/) { in_destructor->Call(*manager_); };
  {
    Sources with = sources_;
    with.AddReadings(
        kSensor, "dies",
        [words = std::shared_ptr<int>(nullptr, last_words)](const CaptureRequest&, Readings& out) {
          out.Set("value", 1);
          return absl::OkStatus();
        });
    with.AddMessages(kSensor, "makes", "Readings",
                     {.make = [this, in_make]() -> std::shared_ptr<google::protobuf::Message> {
                        in_make->Call(*manager_);
                        return std::make_shared<ReadingsMessage>();
                      },
                      .fill =
                          [](const CaptureRequest&, Messages& out) {
                            out.Add();
                            return absl::OkStatus();
                          }});
    Collect("dies");
    Collect("makes");
    ASSERT_NO_FATAL_FAILURE(Create());
    const auto result = manager_->Reconfigure(config_, with);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  ASSERT_TRUE(WaitForCaptured("dies"));
  ASSERT_TRUE(WaitForCaptured("makes"));
  EXPECT_GT(in_make->calls(), 0);
  ASSERT_TRUE(WaitUntil([&] { return inside->load(); }));
  sources_.Remove(kSensor, "stops");
  ASSERT_TRUE(Reconfigure().ok());
  EXPECT_TRUE(WaitUntil([&] { return in_destructor->calls() == 1; }));
  EXPECT_TRUE(WaitUntil([&] { return in_stop->calls() == 1; }));
  EXPECT_TRUE(manager_->Close().ok());
}

// --- Signals ---

thread_local sigjmp_buf resume_point;

TEST_F(GuestTest, ASourceMayReadATruncatedFileUnderItsOwnHandler) {
  const std::string path = temp_.path() + "/mapped";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0644));
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { siglongjmp(resume_point, 1); };
  ASSERT_EQ(::sigaction(SIGBUS, &action, &before), 0);
  AddSensor("mapped", [page](const CaptureRequest&, Readings& out) {
    if (sigsetjmp(resume_point, 1) != 0) return absl::DataLossError("the file was cut");
    out.Set("byte", static_cast<int>(*static_cast<volatile char*>(page)));
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured("mapped"));
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  EXPECT_TRUE(WaitUntil([&] { return StatsOf("mapped").source_errors >= 2; }));
  EXPECT_TRUE(manager_->Close().ok());
  ::sigaction(SIGBUS, &before, nullptr);
  ::munmap(page, 4096);
}

// --- Stacks ---

size_t StackBytes() {
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  size_t bytes = 0;
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return bytes;
}

TEST_F(GuestTest, SourceStackBytesHoldForEveryThreadThatRunsSources) {
  constexpr size_t kBytes = 12 << 20;  // More than the system caches of used stacks.
  options_.source_stack_bytes = kBytes;
  std::mutex mutex;
  std::vector<size_t> seen;
  const auto measure = [&](const CaptureRequest& request, Readings& out) {
    const std::stop_callback on_stop(request.stop, [&] {
      const std::lock_guard lock(mutex);
      seen.push_back(StackBytes());
    });
    {
      const std::lock_guard lock(mutex);
      seen.push_back(StackBytes());
    }
    out.Set("controls", ValueList());
    return absl::OkStatus();
  };
  AddSensor("captured", measure);
  sources_.AddReadings(kSensor, "asked", measure);
  config_.capture_control_sensor = {.name = "asked", .key = "controls"};
  Start();
  ASSERT_TRUE(WaitForCaptured("captured"));
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().control.answers > 0; }));
  EXPECT_TRUE(manager_->Close().ok());
  for (const size_t bytes : seen) EXPECT_GE(bytes, kBytes);
}

TEST_F(GuestTest, ASourceStackThatIsTooSmallIsRefused) {
  options_.source_stack_bytes = 16 << 10;
  const auto manager = DataManager::Create(options_);
  EXPECT_EQ(manager.status().code(), absl::StatusCode::kInvalidArgument) << manager.status();
  EXPECT_NE(manager.status().message().find("source_stack_bytes must be 0, or at least"),
            std::string::npos)
      << manager.status();
}

// --- Limits ---

TEST_F(GuestTest, SpansOfAnyLengthDoNotOverflow) {
  options_.close_timeout = std::chrono::milliseconds::max();
  options_.connect_timeout = std::chrono::milliseconds::max();
  options_.upload_stall_timeout = std::chrono::milliseconds::max();
  config_.sync_interval_mins = 1.5e8;  // About the most that an int64 of nanoseconds holds.
  config_.durability_interval_millis = 9'000'000'000'000;
  config_.file_last_modified_millis = 9'000'000'000'000;
  auto cloud = Cloud::Create({.id = "part", .app_address = "http://127.0.0.1:1"});
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  options_.cloud = *cloud;
  AddSensor("good");
  Start();
  ASSERT_TRUE(WaitForCaptured("good"));
  EXPECT_TRUE(manager_->Flush().ok());
  // Offline it waits, neither giving up at once nor spinning.
  std::stop_source stop;
  std::thread stopping([&] {
    EXPECT_TRUE(WaitForCaptured("good", 5));
    stop.request_stop();
  });
  EXPECT_EQ(manager_->Sync({.stop = stop.get_token()}).code(), absl::StatusCode::kCancelled);
  stopping.join();
  EXPECT_EQ(manager_->Stats().sync.passes, 0U);
  EXPECT_TRUE(manager_->Close().ok());
}

// Limits of a whole process: in a child, before the test has started any thread.
class LimitedTest : public GuestTest {
 protected:
  void ExpectToldAndEnded() {
    AddSensor("good");
    auto result = Reconfigure();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_FALSE(result->refused.empty());
    for (const ReconfigureResult::Refused& refused : result->refused) {
      EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted) << refused.status;
    }
  }
};

TEST_F(LimitedTest, WithoutAThreadToHaveItSaysSoAndTheSameConfigTriesAgain) {
  EXPECT_TRUE(RunInChild([this] {
    ::chmod(temp_.path().c_str(), 0777);
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return false;
    Create();
    rlimit enough{};
    ::getrlimit(RLIMIT_NPROC, &enough);
    const rlimit none{.rlim_cur = 0, .rlim_max = enough.rlim_max};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    ExpectToldAndEnded();
    EXPECT_EQ(StatsOf("good").state, CollectorState::kRefused);
    if (::setrlimit(RLIMIT_NPROC, &enough) != 0) return false;
    const auto result = Reconfigure();
    EXPECT_TRUE(result.ok() && result->refused.empty());
    EXPECT_TRUE(WaitForCaptured("good"));
    EXPECT_TRUE(WaitUntil([&] { return manager_->Stats().disk.looks > 0; }));
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    EXPECT_TRUE(manager_->Close().ok());
    return true;
  }));
}

TEST_F(LimitedTest, RunsWhereASandboxForbidsToSetTheSchedulingPolicy) {
  EXPECT_TRUE(RunInChild([this] {
    const sched_param priority{};
    if (::pthread_setschedparam(::pthread_self(), SCHED_BATCH, &priority) != 0) return false;
    if (!ForbidSyscall(SYS_sched_setscheduler)) return true;  // The kernel has no such filters.
    AddSensor("good");
    Start();
    EXPECT_TRUE(WaitForCaptured("good"));
    EXPECT_TRUE(manager_->Close().ok());
    return true;
  }));
}

// --- fork without exec ---

TEST_F(GuestTest, AForkedChildHoldsNoFileThatTheParentFinishes) {
  AddSensor("good");
  Start();
  ASSERT_TRUE(WaitForCaptured("good"));
  int go[2] = {-1, -1};
  int ready[2] = {-1, -1};
  ASSERT_EQ(::pipe(go), 0);
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(go[1]);
    const bool told = ::write(ready[1], &byte, 1) == 1;
    ::_exit(told && ::read(go[0], &byte, 1) >= 0 ? 0 : 1);  // Lives until it is released.
  }
  ::close(go[0]);
  ::close(ready[1]);
  // fork returns in the parent before the child has closed anything.
  char byte = 0;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  EXPECT_TRUE(WaitForCaptured("good")) << "the parent's own file is not affected";
  EXPECT_TRUE(manager_->Flush().ok());
  const std::vector<std::string> files = FilesBelow(config_.capture_dir, ".capture");
  EXPECT_EQ(files.size(), 1U);
  for (const std::string& path : files) {
    // Claims it as an upload and retention do.
    FileOps& ops = FileOps::System();
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(ops.TryLock(fd.get()), 0);
    EXPECT_EQ(ops.TryLease(fd.get(), F_RDLCK), 0);
  }
  ::close(go[1]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(manager_->Close().ok());
}

}  // namespace
}  // namespace datamanager::testing
