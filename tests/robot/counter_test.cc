#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/robot/robot_fixture.h"

namespace robot {
namespace {

using datamanager::Readings;

class CounterTest : public RobotTest {
 protected:
  absl::Status Start() {
    return sources_.Update({Component("count", "counter", Attribute("journal", Path("journal")))});
  }
  absl::Status Tick() { return Read(sources_, "count", readings_); }
  double Seq() const { return readings_.Find("seq")->AsNumber(); }
  std::string Run() const { return std::string(readings_.Find("run")->AsString()); }
  std::string JournalText() const {
    std::ostringstream text;
    text << std::ifstream(Path("journal")).rdbuf();
    return text.str();
  }

  RobotSources sources_;
  Readings readings_;
};

// While it lives, files of this process end at `bytes`: a full disk in small.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : on_excess_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, on_excess_);
  }

 private:
  rlimit before_ = {};
  void (*on_excess_)(int);
};

TEST_F(CounterTest, JournalsExactlyWhatItReturns) {
  ASSERT_TRUE(Start().ok());
  std::string expected;
  for (uint64_t seq = 1; seq <= 1000; ++seq) {
    ASSERT_TRUE(Tick().ok());
    EXPECT_EQ(Seq(), seq);
    expected += Run() + " " + std::to_string(seq) + "\n";
  }
  EXPECT_EQ(JournalText(), expected);
}

TEST_F(CounterTest, BeginsANewRunAtEachStart) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Tick().ok());
  const std::string first = Run();
  sources_ = RobotSources();
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Tick().ok());
  EXPECT_EQ(Seq(), 1);
  EXPECT_NE(Run(), first);
  EXPECT_EQ(JournalText(), first + " 1\n" + Run() + " 1\n");
}

TEST_F(CounterTest, KeepsItsNumberWhenTheJournalFails) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Tick().ok());
  const std::string before = JournalText();
  {
    const FileSizeLimit full(before.size());
    const absl::Status status = Tick();
    EXPECT_NE(status.message().find(Path("journal")), absl::string_view::npos) << status;
    EXPECT_TRUE(readings_.empty());
  }
  ASSERT_TRUE(Tick().ok());
  EXPECT_EQ(Seq(), 2);
  EXPECT_EQ(JournalText(), before + Run() + " 2\n");
}

TEST_F(CounterTest, LeavesATornLineToItself) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Tick().ok());
  const std::string before = JournalText();
  {
    const FileSizeLimit nearly_full(before.size() + 3);
    EXPECT_FALSE(Tick().ok());
  }
  ASSERT_TRUE(Tick().ok());
  EXPECT_EQ(Seq(), 2);
  EXPECT_EQ(JournalText(), before + Run().substr(0, 3) + "\n" + Run() + " 2\n");
}

TEST_F(CounterTest, RefusesAJournalThatIsNoFile) {
  ASSERT_EQ(::mkfifo(Path("journal").c_str(), 0600), 0);
  EXPECT_NE(Start().message().find("is no regular file"), absl::string_view::npos);
}

TEST_F(CounterTest, BeginsOnItsOwnLineAfterACrash) {
  std::ofstream(Path("journal")) << "0123456789abcdef 12";
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Tick().ok());
  EXPECT_EQ(JournalText(), "0123456789abcdef 12\n" + Run() + " 1\n");
}

}  // namespace
}  // namespace robot
