#include "sync/upload_loop.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/caught.h"
#include "sync/stuck_roots.h"

namespace datamanager::sync {
namespace {

// What one request of an upload keeps in memory at most, as a rule, and what all may together
// before no other begins.
constexpr uint64_t kMostRequestBytes = 4 << 20;
constexpr uint64_t kMostBytesUnderWay = 8 << 20;
constexpr uint64_t kStreamBytes = 256 << 10;

// Calls that may wait for the link before another file is drawn: with one large upload, a small one
// need not wait until it is drawn.
constexpr int kMostWaitingForLink = 2;
// Somebody wakes it long before.
constexpr std::chrono::hours kLongestWait{1};
// Nobody says when the link has room again.
constexpr std::chrono::milliseconds kLinkWait{100};

uint64_t MemoryOf(const FoundFile& file) {
  const auto size = static_cast<uint64_t>(std::max<int64_t>(file.version.size, 0));
  return std::min(size, file.kind == FileKind::kCapture ? kMostRequestBytes : kStreamBytes);
}

}  // namespace

// The queue as one upload sees it: whatever resumes the upload is a step of the loop, and whatever
// the upload asks of the queue is asked by the thread with the turn.
class UploadLoop::UploadCalls final : public CallQueue {
 public:
  UploadCalls(UploadLoop& loop, const std::string& root) : loop_(loop), root_(root) {}

  void Unary(UploadMethod method, std::string request, CallOptions options,
             std::function<void(CallResult)> done) override {
    loop_.Own();
    loop_.calls_->Unary(method, std::move(request), std::move(options),
                        AsStep<CallResult>(std::move(done)));
  }
  std::unique_ptr<UploadStream> OpenStream(UploadMethod method, CallOptions options) override;
  UploadSizes Sizes() const override { return loop_.calls_->Sizes(); }
  void Yield(std::function<void()> done) override {
    loop_.Own();
    loop_.yielded_.push_back(
        [step = AsStep<bool>([done = std::move(done)](bool) { done(); })] { step(true); });
  }
  bool RunOne(MonotonicTime deadline) override { return loop_.calls_->RunOne(deadline); }
  void Wake() override { loop_.calls_->Wake(); }

  // Runs `function` as a step of the loop.
  template <typename Function>
  void RunStep(const Function& function) {
    // The root counts as stuck as soon as the turn can be taken.
    std::optional<StuckRoots::Work> work(std::in_place, loop_.dispatcher_.stuck(), root_);
    in_step_ = true;
    loop_.turn_.BeginStep();
    function();
    work.reset();
    loop_.EndStep();
    in_step_ = false;
  }
  template <typename Result>
  std::function<void(Result)> AsStep(std::function<void(Result)> done) {
    return [this, done = std::move(done)](Result result) {
      if (!loop_.dispatcher_.stuck().IsStuck(root_)) {
        RunStep([&] { done(std::move(result)); });
        return;
      }
      // Its place is free for the files of other roots, as if it hung in the disk itself.
      parked_ = true;
      if (loop_.window_.SetAside()) loop_.dispatcher_.Notify();
      loop_.parked_.push_back({.root = root_, .step = [this, done, result = std::move(result)] {
                                 parked_ = false;
                                 loop_.window_.Free();
                                 RunStep([&] { done(result); });
                               }});
    };
  }
  bool in_step() const { return in_step_; }
  // It waits until its root answers.
  bool parked() const { return parked_; }
  void Own() { loop_.Own(); }

 private:
  UploadLoop& loop_;
  const std::string& root_;
  bool in_step_ = false;
  bool parked_ = false;
};

class UploadLoop::UploadStreamOf final : public UploadStream {
 public:
  UploadStreamOf(UploadCalls& calls, std::unique_ptr<UploadStream> stream)
      : calls_(calls), stream_(std::move(stream)) {}
  ~UploadStreamOf() override {
    calls_.Own();
    stream_.reset();
  }

  void Write(std::string message, std::function<void(bool)> done) override {
    calls_.Own();
    stream_->Write(std::move(message), calls_.AsStep<bool>(std::move(done)));
  }
  void Finish(std::function<void(CallResult)> done) override {
    calls_.Own();
    stream_->Finish(calls_.AsStep<CallResult>(std::move(done)));
  }

 private:
  UploadCalls& calls_;
  std::unique_ptr<UploadStream> stream_;
};

std::unique_ptr<UploadStream> UploadLoop::UploadCalls::OpenStream(UploadMethod method,
                                                                  CallOptions options) {
  loop_.Own();
  return std::make_unique<UploadStreamOf>(*this,
                                          loop_.calls_->OpenStream(method, std::move(options)));
}

// One file on its way.
class UploadLoop::Upload {
 public:
  Upload(UploadLoop& loop, Job job)
      : job_(std::move(job)),
        bytes_(MemoryOf(job_.file)),
        calls_(loop, job_.file.root),
        task_(loop.worker_.Process(job_, calls_, loop.stop_)) {}

  void Start() {
    calls_.RunStep([this] { task_.Start(); });
  }
  // Not while another thread is in it.
  bool done() const { return !calls_.in_step() && task_.done(); }
  bool in_step() const { return calls_.in_step(); }
  // Whether it can go on only when the disk has answered.
  bool hangs() const { return calls_.in_step() || calls_.parked(); }
  UploadWindow::Outcome TakeResult() { return task_.TakeResult(); }
  const Job& job() const { return job_; }
  uint64_t bytes() const { return bytes_; }

 private:
  const Job job_;
  const uint64_t bytes_;
  UploadCalls calls_;
  Task<UploadWindow::Outcome> task_;
};

UploadLoop::UploadLoop(SyncContext& context, const config::SyncConfig& config,
                       Dispatcher& dispatcher, UploadWindow& window, int most_uploads,
                       std::stop_token stop)
    : context_(context),
      dispatcher_(dispatcher),
      window_(window),
      most_uploads_(most_uploads),
      stop_(std::move(stop)),
      worker_(context, config),
      calls_(context.options.uploader->NewQueue()),
      turn_([this] { Wake(); }),
      number_(dispatcher_.AddWorker([this] { Wake(); })),
      on_stop_(stop_, [this] { Wake(); }) {}

UploadLoop::~UploadLoop() { assert(uploads_.empty()); }

void UploadLoop::Run() {
  if (!turn_.Acquire()) return;
  bool looked_ahead = false;
  bool others_had_turn = true;
  while (true) {
    const uint64_t wakes = wakes_;
    if (!turn_.Yield()) return;
    Reap();
    const bool stopped = stop_.stop_requested();
    if (stopped && std::all_of(uploads_.begin(), uploads_.end(),
                               [](const auto& upload) { return upload->in_step(); })) {
      // A thread that comes back from its step sees to what is left.
      turn_.End();
      return;
    }
    if (RunParked()) continue;
    // In turns with everything below.
    others_had_turn = !others_had_turn;
    if (!others_had_turn && RunYielded()) continue;
    // Events of uploads under way are handled before another file is drawn. Without a file to draw
    // the loop does not look for events but waits for them: a look that finds nothing has gRPC poll
    // its sockets, an eighth of a small upload's CPU time.
    const bool has_work = looked_ahead || (!stopped && HasRoom());
    if (has_work && !uploads_.empty() && calls_->RunOne(MonotonicTime())) continue;
    if (!stopped && DrawIfRoom()) continue;
    looked_ahead = !stopped && LookAhead();
    if (looked_ahead) continue;
    // The first RunOne may have used the wake up.
    if (wakes != wakes_) continue;
    calls_->RunOne(yielded_.empty() ? Clock::System().MonotonicNow() + LongestWait()
                                    : MonotonicTime());
  }
}

void UploadLoop::Wake() {
  ++wakes_;
  calls_->Wake();
}

bool UploadLoop::RunParked() {
  const auto parked = std::find_if(parked_.begin(), parked_.end(), [this](const Parked& waiting) {
    return !dispatcher_.stuck().IsStuck(waiting.root);
  });
  if (parked == parked_.end()) return false;
  const std::function<void()> step = std::move(parked->step);
  parked_.erase(parked);
  step();
  return true;
}

void UploadLoop::Reap() {
  for (auto upload = uploads_.begin(); upload != uploads_.end();) {
    if (!(*upload)->done()) {
      ++upload;
      continue;
    }
    UploadWindow::Outcome end = UploadWindow::Outcome::kOther;
    try {
      end = (*upload)->TakeResult();
    } catch (...) {
      // The next pass meets the file.
      const Job& job = (*upload)->job();
      const absl::Status status = CaughtStatus("the upload");
      context_.options.logger->Error(
          absl::StrCat("upload of ", job.file.path, ": ", status.ToString()));
      // Somebody may wait for it.
      context_.outcomes.Report(
          job.file.path, job.direct.get(),
          {.file = job.file.id, .status = status, .verdict = Verdict::kTransient});
    }
    upload = uploads_.erase(upload);
    if (window_.End(end)) dispatcher_.Notify();
  }
}

bool UploadLoop::RunYielded() {
  if (yielded_.empty()) return false;
  const std::function<void()> step = std::move(yielded_.front());
  yielded_.pop_front();
  step();
  return true;
}

bool UploadLoop::TakeFromStuck(MonotonicTime now) {
  const LoopTurn::Taken taken = turn_.TakeFromStuck(now);
  if (taken.from_counted && window_.SetAside()) dispatcher_.Notify();
  return taken.needs_thread;
}

void UploadLoop::Own() {
  if (turn_.Own()) window_.Free();
}

void UploadLoop::EndStep() {
  if (turn_.EndStep()) window_.Free();
}

bool UploadLoop::HasRoom() const {
  // Those that wait for the disk are in nobody's way.
  int under_way = 0;
  uint64_t bytes = 0;
  for (const std::unique_ptr<Upload>& upload : uploads_) {
    if (upload->hangs()) continue;
    ++under_way;
    bytes += upload->bytes();
  }
  return under_way < most_uploads_ && bytes < kMostBytesUnderWay && !LinkIsFull();
}

bool UploadLoop::LinkIsFull() const { return calls_->Sizes().waiting >= kMostWaitingForLink; }

MonotonicTime::duration UploadLoop::LongestWait() const {
  if (stop_.stop_requested() || !LinkIsFull()) return kLongestWait;
  return kLinkWait;
}

void UploadLoop::SayCaught() const {
  context_.options.logger->Error(
      absl::StrCat("looking for files to upload: ", CaughtStatus("the walk").ToString()));
}

bool UploadLoop::LookAhead() {
  bool again = false;
  turn_.BeginStep(/*counts=*/false);
  try {
    again = dispatcher_.LookAhead(number_);
  } catch (...) {
    SayCaught();
  }
  EndStep();
  return again;
}

bool UploadLoop::DrawIfRoom() {
  if (HasRoom()) return Draw();
  dispatcher_.PassOn(number_);
  return false;
}

bool UploadLoop::Draw() {
  if (!window_.Begin()) {
    dispatcher_.PassOn(number_);
    return false;
  }
  std::optional<Job> job;
  Dispatcher::Drawn drawn = Dispatcher::Drawn::kNothing;
  turn_.BeginStep();
  try {
    drawn = dispatcher_.Next(number_, job);
  } catch (...) {
    SayCaught();
  }
  EndStep();
  if (drawn != Dispatcher::Drawn::kFile) {
    // Nobody is woken: a worker that was refused meanwhile would find nothing either.
    window_.GiveBack();
    return drawn == Dispatcher::Drawn::kAgain;
  }
  uploads_.push_back(std::make_unique<Upload>(*this, *std::move(job)));
  uploads_.back()->Start();
  return true;
}

}  // namespace datamanager::sync
