// Capture under a limit on the size of files.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <string>

#include "base/file_ops.h"
#include "base/file_size_signal.h"
#include "base/strings.h"
#include "tests/capture/one_sensor.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::testing {
namespace {

// Limits the size of files that this process may write, as long as it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(FileSizeLimitTest, FilesAreFinishedAtTheLimitAndNoRecordIsDropped) {
  const TempDir temp;
  OneSensor one(temp.path());
  {
    const FileSizeLimit limit(1000);
    one.Start();
    EXPECT_TRUE(one.WaitForCaptured(100));
  }
  one.Close();
  one.ExpectAllKept(temp.path());
  EXPECT_EQ(one.Stats().dropped.total(), 0U);
  const std::vector<std::string> files = FilesBelow(temp.path(), ".capture");
  EXPECT_GE(files.size(), 5U);
}

TEST(FileSizeLimitTest, ARecordThatNoFileHoldsIsToldAndEndsNothing) {
  const TempDir temp;
  OneSensor one(temp.path());
  {
    const FileSizeLimit limit(10);
    one.Start();
    EXPECT_TRUE(one.WaitForDropped(5));
    EXPECT_NE(one.Stats().last_error.find("the 10 bytes that RLIMIT_FSIZE allows"),
              std::string::npos)
        << one.Stats().last_error;
  }
  EXPECT_TRUE(one.WaitForCaptured(5));
  one.Close();
  one.ExpectAllKept(temp.path());
}

TEST(FileSizeLimitTest, AWriteOnAThreadOfTheEmbeddersIsAnErrorAndNoSignal) {
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  ASSERT_EQ(sigismember(&before, SIGXFSZ), 0) << "it would end this process";
  const TempDir temp;
  const UniqueFd fd(
      FileOps::System().Open((temp.path() + "/file").c_str(), O_WRONLY | O_CREAT, 0600));
  absl::Status status;
  {
    const FileSizeLimit limit(10);
    status = WriteAll(FileOps::System(), fd.get(), std::string(20, 'x'));
  }
  EXPECT_NE(status.message().find("File too large"), std::string::npos) << status;
  sigset_t pending;
  sigset_t after;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGXFSZ), 0);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGXFSZ), 0);
}

}  // namespace
}  // namespace datamanager::testing
