#include "sync/pass.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/caught.h"

namespace datamanager::sync {
namespace {

// What a pass keeps of the backlog's limit when there is another one with the whole.
constexpr size_t kSmallerShare = 4;

bool IsBelow(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory == "/" || path[directory.size()] == '/');
}

size_t IndexOf(RootPass::Row row) { return row == RootPass::Row::kBacklog ? 0 : 1; }

}  // namespace

Pass::Pass(SyncContext& context, const config::SyncConfig& config, const FileCheck& check,
           Complaints& complaints, StuckRoots& stuck, KnownRoots& known, FileFilter filter,
           Backlog::Limits limits, bool whole_backlog)
    : context_(context), complaints_(complaints), stuck_(stuck), known_(known) {
  using Role = DirectorySummary::Role;
  MutexLock lock(mutex_);
  const auto add = [&](const std::string& path, Role role) {
    // Only the first has a large backlog, as a rule.
    const bool whole = whole_backlog && role == Role::kCapture;
    RootPass::Options options{
        .filter = filter,
        .limits = limits,
        .most_files = whole ? limits.files : std::max<size_t>(limits.files / kSmallerShare, 1)};
    RootState& state = roots_.emplace_back();
    state.pass = std::make_unique<RootPass>(context, check, complaints, path, role,
                                            std::move(options), stop_.get_token());
  };
  add(config.capture_directory, Role::kCapture);
  for (const std::string& path : config.additional_paths) add(path, Role::kAdditional);
  for (const std::string& path : context.former_roots.Paths()) add(path, Role::kFormer);
}

const std::string& Pass::PathOf(const RootState& root) {
  return root.root.has_value() ? root.root->path : root.pass->path();
}

bool Pass::IsStuck(const RootState& root) const { return stuck_.IsStuck(PathOf(root)); }

bool Pass::HangsForLong(const RootState& root) const {
  return stuck_.HangsFor(PathOf(root), StuckRoots::kLongPatience);
}

bool Pass::MayWalk() const {
  return std::all_of(roots_.begin(), roots_.end(), [this](const RootState& root) {
    return root.step != Step::kToResolve || IsStuck(root);
  });
}

void Pass::SkipUnresolved(std::vector<Root>& all) {
  for (RootState& skipped : roots_) {
    if (skipped.step != Step::kToResolve) continue;
    skipped.step = Step::kSkipped;
    const std::string& path = skipped.pass->path();
    if (const std::optional<Root> known = known_.Find(path)) {
      all.push_back(*known);
      continue;
    }
    for (RootState& root : roots_) {
      if (root.step == Step::kResolved &&
          (IsBelow(path, root.root->path) || IsBelow(path, root.pass->path()))) {
        root.step = Step::kSkipped;
      }
    }
  }
}

void Pass::BeginWalks() {
  walks_begun_ = true;
  auto all = std::make_shared<std::vector<Root>>();
  SkipUnresolved(*all);
  std::vector<std::pair<RootState*, size_t>> walked;
  for (RootState& state : roots_) {
    if (state.step != Step::kResolved) continue;
    // Several paths may lead to one directory.
    const bool known = std::any_of(all->begin(), all->end(),
                                   [&](const Root& other) { return other.id == state.root->id; });
    state.step = known ? Step::kOver : Step::kWalking;
    if (known) continue;
    walked.emplace_back(&state, all->size());
    all->push_back(*state.root);
  }
  for (const auto& [state, index] : walked) state->pass->Begin(all, index);
}

Pass::RootState* Pass::Take(Row row, bool ahead, bool& busy) {
  if (stop_.stop_requested()) return nullptr;
  if (!walks_begun_) {
    for (RootState& root : roots_) {
      if (root.step != Step::kToResolve || IsStuck(root)) continue;
      if (!root.busy) return &root;
      busy = true;
    }
    if (!MayWalk()) return nullptr;
    busy = false;
    BeginWalks();
  }
  for (size_t i = 0; i < roots_.size(); ++i) {
    RootState& root = roots_[(turn_ + i) % roots_.size()];
    if (root.step != Step::kWalking || root.row_is_empty[IndexOf(row)] || IsStuck(root)) continue;
    if (root.busy) {
      busy = true;
      continue;
    }
    if (ahead) {
      if (root.row_has_file[IndexOf(row)]) continue;
      return &root;
    }
    // The oldest go first among the roots' backlogs only if these take no turns: the capture
    // directory comes before the others.
    if (row == Row::kOther) turn_ = (turn_ + i + 1) % roots_.size();
    return &root;
  }
  return nullptr;
}

void Pass::SayCaught() const {
  context_.options.logger->Error(
      absl::StrCat("looking for files to upload: ", CaughtStatus("the walk").ToString()));
}

Pass::Result Pass::Next(Row row, std::optional<Job>& job) { return DoStep(row, &job); }

bool Pass::LookAhead() {
  const auto steps = [this](Row row) {
    const Result result = DoStep(row, nullptr);
    // Whoever is at work there looks ahead next.
    return result != Result::kNothing && result != Result::kBusy;
  };
  return steps(Row::kBacklog) || steps(Row::kOther);
}

Pass::Result Pass::DoStep(Row row, std::optional<Job>* job) {
  RootState* root = nullptr;
  Step step;
  std::string path;
  {
    MutexLock lock(mutex_);
    bool busy = false;
    try {
      root = Take(row, job == nullptr, busy);
    } catch (...) {
      SayCaught();
      broken_ = true;
      for (RootState& state : roots_) state.step = Step::kOver;
      return Result::kNotYet;
    }
    if (root == nullptr) return busy ? Result::kBusy : Result::kNothing;
    root->busy = true;
    step = root->step;
    path = PathOf(*root);
  }
  std::optional<Root> resolved;
  Result result = Result::kNotYet;
  try {
    const StuckRoots::Work work(stuck_, path);
    if (step == Step::kToResolve) {
      resolved = root->pass->Resolve();
    } else {
      result = job == nullptr ? root->pass->LookAhead(row) : root->pass->Next(row, *job);
    }
  } catch (...) {
    SayCaught();
    MutexLock lock(mutex_);
    broken_ = true;
    root->busy = false;
    root->step = Step::kOver;  // The next pass walks it again; the other roots of this one go on.
    return Result::kNotYet;
  }
  MutexLock lock(mutex_);
  root->busy = false;
  if (step == Step::kToResolve) {
    if (root->step == Step::kToResolve) {
      root->step = resolved.has_value() ? Step::kResolved : Step::kOver;
    }
    if (resolved.has_value()) known_.Remember(root->pass->path(), *resolved);
    root->root = std::move(resolved);
    return Result::kNotYet;
  }
  root->row_has_file[IndexOf(row)] = job == nullptr && result == Result::kFile;
  if (result == Result::kNothing) {
    root->row_is_empty[IndexOf(row)] = true;
    if (root->row_is_empty[0] && root->row_is_empty[1]) root->step = Step::kOver;
    // Another root may have something.
    return Result::kNotYet;
  }
  return result;
}

Pass::State Pass::state() const {
  MutexLock lock(mutex_);
  bool stuck = false;
  for (const RootState& root : roots_) {
    if (root.step == Step::kOver) continue;
    if (root.step == Step::kSkipped || HangsForLong(root)) {
      stuck = true;
    } else if (root.busy || !stop_.stop_requested()) {
      return State::kUnderWay;
    }
  }
  return stuck ? State::kStuck : State::kOver;
}

std::string Pass::StuckPath() const {
  MutexLock lock(mutex_);
  const RootState* skipped = nullptr;
  for (const RootState& root : roots_) {
    if (root.step == Step::kOver) continue;
    if (IsStuck(root)) return PathOf(root);
    // It may have been left out only because one below it hangs.
    if (root.step == Step::kSkipped && skipped == nullptr) skipped = &root;
  }
  return skipped == nullptr ? "" : PathOf(*skipped);
}

void Pass::Settle() {
  MutexLock lock(mutex_);
  Complaints::Heard heard;
  uint64_t files = 0;
  uint64_t directories = 0;
  for (const RootState& root : roots_) {
    if (root.busy) continue;
    heard.insert(root.pass->heard().begin(), root.pass->heard().end());
    files += root.pass->blocked_files();
    directories += root.pass->blocked_directories();
  }
  complaints_.Settle(heard);
  context_.blocked_files = files;
  context_.blocked_directories = directories;
}

}  // namespace datamanager::sync
