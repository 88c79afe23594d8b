// Fails every call to the disk, one after another, in every way it can fail.
//
// The scenario of scenario.h is run once to number its calls, and then again for each call and each
// fault of it: an error it can give, a write cut short, a call that is done but said to have
// failed, an outage that begins there and lasts, and the end of the process there. Then the disk is
// well again, the same process goes on by itself (unless it ended) until nothing is left, and
// if something is, another one follows it. After each run every rule of Scenario::BrokenRules
// holds, no published file is torn, nothing waits, and no descriptor is left open.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/keyless_uploader.h"
#include "tests/simulation/scenario.h"
#include "tests/support/temp_dir.h"

namespace datamanager::simulation {
namespace {

using FaultKind = Fault::Kind;

struct Case {
  Fault fault;
  bool killed = false;
};

size_t OpenDescriptors() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

class FaultSweep : public ::testing::Test {
 protected:
  using Prepare = std::function<void(Scenario&)>;

  // What is broken after a run with that fault. `calls` receives the calls before the disk healed.
  std::vector<std::string> RunOnce(const Case& test, const Prepare& prepare = {},
                                   std::vector<Call>* calls = nullptr) {
    std::vector<std::string> broken;
    {
      const testing::TempDir base(testing::MemoryDirectory());
      Scenario scenario(base.path(), logger_);
      if (prepare) prepare(scenario);
      scenario.disk().Plan(test.fault);
      scenario.Start();
      scenario.Run(1);
      if (test.killed) scenario.End();
      scenario.disk().Heal();
      if (calls != nullptr) *calls = scenario.disk().calls();
      if (!test.killed && !scenario.Drain()) {
        for (std::string& path : Waiting(scenario.places())) {
          broken.push_back("stuck until a restart: " + path);
        }
      }
      scenario.End();
      if (!Waiting(scenario.places()).empty()) {
        scenario.Start();
        EXPECT_TRUE(scenario.process().Recover());
        scenario.Drain();
        scenario.End();
      }
      const std::vector<std::string> rules = scenario.BrokenRules();
      broken.insert(broken.end(), rules.begin(), rules.end());
    }
    if (OpenDescriptors() != descriptors_) broken.emplace_back("descriptors are left open");
    return broken;
  }

  static std::vector<Case> CasesOf(Call call, size_t number) {
    std::vector<Case> cases;
    for (const int error : ErrorsOf(call)) {
      cases.push_back(
          {.fault = {.kind = FaultKind::kError, .at = number, .error = error, .call = call}});
    }
    if (call == Call::kWrite) {
      cases.push_back({.fault = {.kind = FaultKind::kShortWrite, .at = number, .call = call}});
    }
    if (call == Call::kRename || call == Call::kUnlink || call == Call::kMkdir) {
      cases.push_back({.fault = {.kind = FaultKind::kLostReply, .at = number, .call = call}});
    }
    const Fault outage{.kind = FaultKind::kOutage, .at = number, .error = EIO};
    cases.push_back({.fault = outage});
    cases.push_back({.fault = outage, .killed = true});
    return cases;
  }
  static bool Has(const std::vector<std::string>& broken, const std::string& rule) {
    return std::any_of(broken.begin(), broken.end(),
                       [&](const std::string& text) { return text.starts_with(rule); });
  }
  static std::string Describe(const Case& test, Call call) {
    constexpr const char* kKinds[] = {"none", "error", "short write", "lost reply", "outage"};
    return absl::StrCat("call ", test.fault.at, ", ",
                        absl::string_view(CallName(call).data(), CallName(call).size()), ": ",
                        test.killed ? "killed" : kKinds[static_cast<int>(test.fault.kind)], " ",
                        test.fault.error == 0 ? "" : strerror(test.fault.error));
  }

  // Nobody reads what thousands of runs say.
  const std::shared_ptr<Logger> logger_ = ClosedLogger();
  const size_t descriptors_ = OpenDescriptors();
};

// The parts of the sweep can run beside each other.
constexpr size_t kParts = 4;

class FaultSweepPart : public FaultSweep, public ::testing::WithParamInterface<size_t> {};

TEST_P(FaultSweepPart, NoFaultOfTheDiskBreaksARule) {
  constexpr size_t kEnough = 5;  // Broken runs; some take as long as patience lasts.
  std::vector<Call> calls;
  ASSERT_EQ(RunOnce({}, {}, &calls), std::vector<std::string>());
  const std::set<Call> kinds(calls.begin(), calls.end());
  size_t failed_calls = 0;
  size_t cases = 0;
  size_t runs = 0;
  size_t broken_runs = 0;
  for (size_t number = GetParam(); number < calls.size() && broken_runs < kEnough;
       number += kParts) {
    ++failed_calls;
    for (const Case& test : CasesOf(calls[number], number)) {
      if (cases++ % SIMULATE_ONE_IN != 0) continue;
      ++runs;
      const std::vector<std::string> broken = RunOnce(test);
      if (!broken.empty()) ++broken_runs;
      for (const std::string& rule : broken) {
        ADD_FAILURE() << Describe(test, calls[number]) << ": " << rule;
      }
    }
  }
  std::printf(
      "fault sweep, part %zu of %zu: %zu of %zu calls of %zu kinds failed, %zu runs, %zu with a "
      "broken rule\n",
      GetParam() + 1, kParts, failed_calls, calls.size(), kinds.size(), runs, broken_runs);
}

INSTANTIATE_TEST_SUITE_P(Parts, FaultSweepPart, ::testing::Range<size_t>(0, kParts));

// The rules can be broken. Each of these has a flaw that one of them is there to find.

TEST_F(FaultSweep, FindsThatAChangedFileIsRemoved) {
  const std::vector<std::string> broken = RunOnce({}, [](Scenario& scenario) {
    scenario.disk().SetFlaws({.hides_changes = true});
    scenario.SetDrainTime(std::chrono::milliseconds(100));
  });
  EXPECT_TRUE(Has(broken, "notes.txt is stored 0 times")) << broken.size();
}

TEST_F(FaultSweep, FindsThatNoKeyIsSent) {
  const std::vector<std::string> broken = RunOnce({}, [](Scenario& scenario) {
    scenario.UseUploader(std::make_shared<KeylessUploader>(scenario.server()));
  });
  EXPECT_TRUE(Has(broken, "twice: a/1")) << broken.size();
}

TEST_F(FaultSweep, FindsAPartOfARecordInTheMiddleOfAFile) {
  std::vector<Call> calls;
  RunOnce({}, {}, &calls);
  size_t torn = 0;
  size_t lost = 0;
  for (size_t number = 0; number < calls.size(); ++number) {
    if (calls[number] != Call::kWrite) continue;
    const std::vector<std::string> broken =
        RunOnce({.fault = {.kind = FaultKind::kShortWrite, .at = number}},
                [](Scenario& scenario) { scenario.disk().SetFlaws({.drops_truncations = true}); });
    torn += Has(broken, "torn: ");
    lost += Has(broken, "lost: ");
  }
  EXPECT_GT(torn, 0U);
  EXPECT_GT(lost, 0U);
}

TEST_F(FaultSweep, FindsADescriptorThatIsLeftOpen) {
  const Fault no_more_files{.kind = FaultKind::kOutage, .at = 0, .error = EMFILE};
  const std::vector<std::string> broken =
      RunOnce({.fault = no_more_files, .killed = true},
              [](Scenario& scenario) { scenario.disk().SetFlaws({.leaks_descriptors = true}); });
  EXPECT_TRUE(Has(broken, "descriptors are left open")) << broken.size();
}

}  // namespace
}  // namespace datamanager::simulation
