#include "robot/robot.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "robot/report.h"

namespace robot {
namespace {

using datamanager::Cloud;
using datamanager::CloudConfig;
using datamanager::CollectorStats;
using datamanager::DataManager;
using datamanager::MachineConfig;
using datamanager::ManagerStats;
using datamanager::ReconfigureResult;
using std::chrono::steady_clock;

// How long the upload at the end of --run-for may take.
constexpr std::chrono::seconds kDrainLimit{10};
// How long the reader of an output may take for the last lines.
constexpr std::chrono::milliseconds kPrintLimit{500};

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any.
  return value == nullptr ? "" : value;
}

// The directories whose files the data manager uploads and removes.
std::vector<std::string> SweptDirectories(const datamanager::Config& config) {
  const std::string home = Variable("HOME");
  std::vector<std::string> swept = config.additional_sync_paths;
  if (!config.capture_dir.empty()) swept.push_back(config.capture_dir);
  if (config.capture_dir.empty() && !home.empty()) swept.push_back("~/.viam/capture");
  const std::string viam_home = Variable("VIAM_HOME");
  if (config.capture_dir.empty() && !viam_home.empty()) swept.push_back(viam_home + "/capture");
  for (std::string& directory : swept) {
    if (directory == "~" || directory.starts_with("~/")) directory.replace(0, 1, home);
  }
  return swept;
}

// The longest time until a record is on the medium, where something flushes it.
std::chrono::nanoseconds FlushedAfter(const datamanager::Config& config) {
  // Clamped, because twice the longest interval of a config does not fit into nanoseconds.
  const auto interval = std::min<std::chrono::milliseconds>(
      std::chrono::milliseconds(config.durability_interval_millis), std::chrono::hours(24 * 365));
  return std::max<std::chrono::nanoseconds>(std::chrono::minutes(1),
                                            2 * interval + std::chrono::seconds(30));
}

}  // namespace

std::string ErrorText(const absl::Status& status) {
  const std::string text(status.message());
  std::string lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines += "robot: " + text.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return lines;
}

bool Robot::Succeeded(const absl::Status& status) const {
  if (!status.ok()) PrintError(status);
  return status.ok();
}

Robot::Robot(Options options, Signals& signals)
    : options_(std::move(options)),
      log_(datamanager::StandardErrorLog(options_.log_level)),
      signals_(signals),
      output_(std::make_unique<console::Console>(STDOUT_FILENO)),
      errors_(std::make_unique<console::Console>(STDERR_FILENO)) {}

absl::StatusOr<Robot::Plan> Robot::Load() const {
  absl::StatusOr<MachineConfig> machine = datamanager::LoadMachineConfig(options_.config);
  if (!machine.ok()) return machine.status();
  for (const std::string& warning : machine->warnings) Warn(warning);
  Plan plan{.cloud = machine->cloud.value_or(CloudConfig{}), .sources = plan_.sources};
  std::vector<datamanager::ComponentConfig> components = machine->components;
  std::copy_if(machine->services.begin(), machine->services.end(), std::back_inserter(components),
               &RobotSources::IsRemote);
  SourceContext context{.config = options_.config, .log = log_};
  if (machine->data_manager) {
    if (!options_.capture_dir.empty()) machine->data_manager->capture_dir = options_.capture_dir;
    context.swept = SweptDirectories(*machine->data_manager);
    context.flushed_after = FlushedAfter(*machine->data_manager);
  }
  absl::Status sources = plan.sources.Update(components, context);
  if (!machine->data_manager) {
    std::string faults = options_.config +
                         ": no data manager is declared; add to \"services\": {\"name\": \"data\", "
                         "\"api\": \"rdk:service:data_manager\", \"model\": "
                         "\"rdk:builtin:builtin\", \"attributes\": {}}";
    if (!sources.ok()) faults += "\n" + std::string(sources.message());
    return absl::InvalidArgumentError(faults);
  }
  if (!sources.ok()) return sources;
  plan.config = *std::move(machine->data_manager);
  plan.name = machine->data_manager_name;
  return plan;
}

std::optional<absl::StatusOr<Robot::Plan>> Robot::LoadUntil(TimePoint deadline, int& number) {
  struct Loading {
    std::mutex mutex;
    std::optional<absl::StatusOr<Plan>> plan;
  };
  const auto loading = std::make_shared<Loading>();
  std::thread thread;
  try {
    thread = std::thread([this, loading] {
      absl::StatusOr<Plan> plan = Load();
      {
        const std::lock_guard lock(loading->mutex);
        loading->plan = std::move(plan);
      }
      signals_.Wake();
    });
  } catch (const std::system_error&) {
    return Load();  // The process may be at its limit of threads.
  }
  bool reload = false;
  bool retry = false;
  while (true) {
    number = WaitUntil(deadline);
    reload = reload || number == SIGHUP;
    retry = retry || number == SIGUSR2;
    if (number == SIGHUP || number == SIGUSR2) continue;
    const std::lock_guard lock(loading->mutex);
    if (loading->plan.has_value()) break;
    if (number == Signals::kWake) continue;
    thread.detach();
    loading_hangs_ = true;
    return std::nullopt;
  }
  thread.join();
  if (reload) signals_.Send(SIGHUP);
  if (retry) signals_.Send(SIGUSR2);
  // A signal that came at the same moment counts too.
  if (number != Signals::kWake && number != 0) signals_.Send(number);
  return std::move(loading->plan);
}

absl::Status Robot::Start(absl::StatusOr<Plan> plan) {
  if (!plan.ok()) return plan.status();
  absl::StatusOr<std::shared_ptr<Cloud>> cloud = Cloud::Create(plan->cloud, log_);
  if (!cloud.ok()) return cloud.status();
  cloud_ = *std::move(cloud);
  datamanager::DataManagerOptions options{.cloud = cloud_, .logger = log_};
  if (options_.upload_stall_timeout) {
    options.upload_stall_timeout = *options_.upload_stall_timeout;
  }
  absl::StatusOr<std::unique_ptr<DataManager>> manager = DataManager::Create(std::move(options));
  if (!manager.ok()) return manager.status();
  manager_ = *std::move(manager);
  // First, so that nothing is captured if it cannot listen.
  if (absl::Status status = Serve(*plan); !status.ok()) return status;
  if (absl::Status status = Reconfigure(*plan); !status.ok()) return status;
  plan_ = *std::move(plan);
  start_ = steady_clock::now();
  if (options_.status_every) next_status_ = start_ + *options_.status_every;
  return absl::OkStatus();
}

absl::Status Robot::Reconfigure(const Plan& plan) {
  const absl::StatusOr<ReconfigureResult> result =
      manager_->Reconfigure(plan.config, plan.sources.sources());
  if (!result.ok()) return result.status();
  // The library's log gives the reasons.
  if (!result->refused.empty()) {
    std::string names;
    for (const ReconfigureResult::Refused& refused : result->refused) {
      names += (names.empty() ? "" : ", ") + refused.name;
    }
    Say("these do not run: " + names);
  }
  for (const std::string& name : result->still_running) {
    Say("still running from before: " + name);
  }
  return absl::OkStatus();
}

absl::Status Robot::Serve(const Plan& plan) {
  if (options_.listen.empty()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Front>> front =
      Front::Start(options_.listen, *manager_, plan.name);
  if (!front.ok()) return front.status();
  front_ = *std::move(front);
  front_->components().Use(plan.sources.sources());
  if (IsOpenToOthers(options_.listen)) {
    Warn("other machines can reach " + front_->address() +
         ", and there is no authentication: whoever does may have the robot upload, and read its "
         "statistics and components; listen on 127.0.0.1 or a unix socket");
  }
  Say("serving on " + front_->address());
  return absl::OkStatus();
}

int Robot::Reload(TimePoint deadline) {
  int number = 0;
  std::optional<absl::StatusOr<Plan>> plan = LoadUntil(deadline, number);
  if (!plan.has_value()) return number;
  if (const absl::Status status = Apply(*std::move(plan)); Succeeded(status)) {
    Say("config reloaded");
  } else {
    PrintError(absl::FailedPreconditionError("the config was not reloaded; the old one runs on"));
  }
  return Signals::kWake;
}

absl::Status Robot::Apply(absl::StatusOr<Plan> plan) {
  if (!plan.ok()) return plan.status();
  absl::Status status = cloud_->Reconfigure(plan->cloud);
  if (!status.ok()) return status;
  status = Reconfigure(*plan);
  if (!status.ok()) {
    // Both or neither. The old one was right when it was applied.
    Succeeded(cloud_->Reconfigure(plan_.cloud));
    return status;
  }
  if (front_ != nullptr && plan->name != plan_.name) {
    Warn("the data manager's changed name counts from the next start of the robot");
    plan->name = plan_.name;
  }
  if (front_ != nullptr) front_->components().Use(plan->sources.sources());
  plan_ = *std::move(plan);
  return absl::OkStatus();
}

void Robot::RetryFailed() {
  const absl::StatusOr<datamanager::RetriedFiles> result = manager_->RetryFailed();
  if (!Succeeded(result.status())) return;
  for (const std::string& error : result->errors) PrintError(absl::UnknownError(error));
  Say("put " + std::to_string(result->moved) + " files back from failed/; " +
      std::to_string(result->left) + " stay there");
}

int Robot::WaitUntil(TimePoint deadline) {
  while (true) {
    const int number = signals_.WaitUntil(std::min(deadline, next_status_));
    if (number != 0) return number;
    const TimePoint now = steady_clock::now();
    if (now >= next_status_) {
      const ManagerStats stats = manager_->Stats();
      output_->Print(StatusLine(Elapsed(), stats, CountWaitingFiles(stats.capture_dir)) + "\n");
      while (next_status_ <= now) next_status_ += *options_.status_every;
    }
    if (now >= deadline) return 0;
  }
}

bool Robot::Drain() {
  plan_.config.capture_disabled = true;
  const bool stopped = Succeeded(Reconfigure(plan_));
  if (cloud_->Status().state == datamanager::ConnectionState::kNotManaged) return stopped;

  std::stop_source stop;
  absl::Status result;
  std::atomic<bool> done = false;
  std::thread uploading;
  try {
    uploading = std::thread([&] {
      result =
          manager_->Sync({.wait_for = datamanager::SyncWait::kUploaded, .stop = stop.get_token()});
      done = true;
      signals_.Wake();
    });
  } catch (const std::system_error& error) {
    PrintError(absl::ResourceExhaustedError(std::string("cannot upload: ") + error.what()));
    return false;
  }
  TimePoint deadline = steady_clock::now() + kDrainLimit;
  while (!done) {
    const int number = WaitUntil(deadline);
    if (number == Signals::kWake || number == SIGHUP || number == SIGUSR2) continue;
    stop.request_stop();
    deadline = TimePoint::max();
  }
  uploading.join();
  if (absl::IsUnavailable(result) || absl::IsCancelled(result)) {
    // No failure: what is left waits for the next run.
    Say("not everything was uploaded: " + std::string(result.message()));
    return stopped;
  }
  return Succeeded(result) && stopped;
}

int Robot::Run() {
  int number = 0;
  std::optional<absl::StatusOr<Plan>> plan = LoadUntil(TimePoint::max(), number);
  if (!plan.has_value()) return End(0);  // A signal came before there was anything to do.
  if (!Succeeded(Start(*std::move(plan)))) return End(2);

  const TimePoint end = options_.run_for ? start_ + *options_.run_for : TimePoint::max();
  number = WaitUntil(end);
  while (number == SIGHUP || number == SIGUSR2 || number == Signals::kWake) {
    if (number == SIGUSR2) RetryFailed();
    number = number == SIGHUP ? Reload(end) : Signals::kWake;
    if (number == Signals::kWake) number = WaitUntil(end);
  }
  // Ending changes the collectors' states and rates; the table tells how they ran.
  const ManagerStats while_running = manager_->Stats();
  bool clean = true;
  if (number == 0) clean = Drain();
  front_ = nullptr;
  const bool closed = Succeeded(manager_->Close());
  if (closed && plan_.config.durability != datamanager::Durability::kProcess) {
    RobotSources::SetFlushed();
  }
  clean = closed && clean;
  PrintSummary(while_running);
  return End(clean ? 0 : 1);
}

int Robot::End(int status) {
  const bool printed = output_->Finish(kPrintLimit);
  if (errors_->Finish(kPrintLimit) && printed && !loading_hangs_) return status;
  ::_exit(status);
}

void Robot::PrintSummary(const ManagerStats& while_running) {
  ManagerStats stats = manager_->Stats();
  const size_t count = std::min(stats.collectors.size(), while_running.collectors.size());
  for (size_t i = 0; i < count; ++i) {
    CollectorStats& now = stats.collectors[i];
    const CollectorStats& before = while_running.collectors[i];
    if (now.api != before.api || now.name != before.name || now.method != before.method) continue;
    now.state = before.state;
    now.reason = before.reason;
    now.achieved_hz = before.achieved_hz;
  }
  const WaitingFiles waiting = CountWaitingFiles(while_running.capture_dir);
  if (waiting.files > 0) {
    Say(std::to_string(waiting.files) + " files (" + std::to_string(waiting.bytes) +
        " bytes) wait in " + while_running.capture_dir + " for the next run");
  }
  output_->Print(SummaryTable(Elapsed(), stats, waiting, ReadProcessUsage()));
}

void Robot::Warn(const std::string& message) const {
  // The output's thread calls the log: this thread would wait for the library's logging thread.
  errors_->Do([log = log_, entry = datamanager::LogEntry{datamanager::Clock::System().WallNow(),
                                                         datamanager::LogLevel::kWarning,
                                                         message}] { log(entry); });
}

std::chrono::duration<double> Robot::Elapsed() const { return steady_clock::now() - start_; }

}  // namespace robot
