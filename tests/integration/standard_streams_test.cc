// The programs started without standard streams, as some service managers do: none of their files
// or sockets may get the number of a closed stream.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "capture_file/reader.h"
#include "tests/support/files.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

// A program started with the streams closed by `redirections`; the destructor kills it.
class Program {
 public:
  Program(const std::string& redirections, std::vector<std::string> command) {
    std::string script = absl::StrCat("exec \"$0\" \"$@\" ", redirections);
    std::vector<char*> arguments = {const_cast<char*>("/bin/sh"), const_cast<char*>("-c"),
                                    script.data()};
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void Signal(int signal) const { ::kill(pid_, signal); }
  // -1 if a signal ended it, or it does not end.
  int ExitCode() {
    int status = 0;
    if (!WaitUntil([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool WaitForDevNull(int fd) const {
    return WaitUntil([&] {
      char target[64] = {};
      const std::string link = absl::StrCat("/proc/", pid_, "/fd/", fd);
      return ::readlink(link.c_str(), target, sizeof(target) - 1) > 0 &&
             std::string(target) == "/dev/null";
    });
  }

 private:
  pid_t pid_ = -1;
};

class StandardStreamsTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }
  // Counts the records in files that are whole to their last byte.
  uint64_t WholeRecords(const std::string& directory) {
    uint64_t records = 0;
    for (const std::string& path : FilesBelow(directory, ".capture")) {
      const auto fd = OpenFile(FileOps::System(), path, O_RDONLY);
      struct stat info {};
      if (!fd.ok() || ::fstat(fd->get(), &info) != 0) return 0;
      auto reader = capture_file::Reader::Open(FileOps::System(), fd->get(),
                                               static_cast<uint64_t>(info.st_size));
      EXPECT_TRUE(reader.ok()) << path << ": " << reader.status();
      if (!reader.ok()) continue;
      for (auto record = reader->Next(); record.ok() && record->has_value();
           record = reader->Next()) {
        ++records;
      }
      EXPECT_TRUE(reader->torn().ok()) << path << ": " << reader->torn();
    }
    return records;
  }

  const TempDir temp_;
};

TEST_F(StandardStreamsTest, TheRobotsLogTearsNoFile) {
  WriteFile(Path("robot.json"),
            absl::StrCat(R"({"components": [{"name": "count", "api": "rdk:component:sensor",)",
                         R"("model": "counter", "attributes": {"journal": ")", Path("journal"),
                         R"("}, "service_configs": [{"type": "data_manager", "attributes":)",
                         R"({"capture_methods": [{"method": "Readings",)",
                         R"("capture_frequency_hz": 200}]}}]}], "services": [{"name": "data",)",
                         R"("api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",)",
                         R"("attributes": {"capture_dir": ")", Path("capture"), R"("}}]})"));
  Program robot("<&- >&- 2>&-",
                {ROBOT_PATH, "--config", Path("robot.json"), "--status-every", "10ms"});
  for (int fd = 0; fd <= 2; ++fd) EXPECT_TRUE(robot.WaitForDevNull(fd)) << fd;
  const auto journalled = [&] {
    uint64_t lines = 0;
    for (const char c : Exists(Path("journal")) ? ReadFile(Path("journal")) : "")
      lines += c == '\n';
    return lines;
  };
  EXPECT_TRUE(WaitUntil([&] { return journalled() >= 50; }));
  robot.Signal(SIGTERM);
  EXPECT_EQ(robot.ExitCode(), 0);
  EXPECT_EQ(WholeRecords(Path("capture")), journalled());
}

TEST_F(StandardStreamsTest, TheSmallestEmbeddingTearsNoFile) {
  ASSERT_EQ(::mkfifo(Path("input").c_str(), 0600), 0);
  const UniqueFd input(::open(Path("input").c_str(), O_RDWR | O_CLOEXEC));
  Program minimal(absl::StrCat("<", Path("input"), " >&- 2>&-"), {MINIMAL_PATH, Path("capture")});
  EXPECT_TRUE(minimal.WaitForDevNull(1));
  EXPECT_TRUE(minimal.WaitForDevNull(2));
  EXPECT_TRUE(WaitUntil([&] {
    const std::vector<std::string> files =
        FilesBelow(Path("capture") + "/rdk_component_sensor", ".prog");
    return !files.empty() && !ReadFile(files[0]).empty();
  }));
  ASSERT_EQ(::write(input.get(), "\n", 1), 1);
  EXPECT_EQ(minimal.ExitCode(), 0);
  EXPECT_GE(WholeRecords(Path("capture")), 1U);
}

TEST_F(StandardStreamsTest, TheServersFilesAndSocketsGetNoStreamsNumber) {
  Program server("<&- >&- 2>&-", {INGEST_SERVER_PATH, "--listen", OwnLoopback(0), "--store",
                                  Path("store"), "--print-port"});
  for (int fd = 0; fd <= 2; ++fd) EXPECT_TRUE(server.WaitForDevNull(fd)) << fd;
  EXPECT_TRUE(WaitUntil([&] { return Exists(Path("store/ingest.db")); }));
}

TEST_F(StandardStreamsTest, ARepairPrintsIntoNoFile) {
  WriteFile(Path("file.capture"), std::string("\0\3\032\1x\3", 6));
  Program cat("<&- >&- 2>&-", {CAPTURE_CAT_PATH, "--repair", Path("file.capture")});
  EXPECT_EQ(cat.ExitCode(), 0);
  EXPECT_EQ(ReadFile(Path("file.capture")), std::string("\0\3\032\1x", 5));
  EXPECT_EQ(ReadFile(Path("file.capture.cut-at-5.prog")), "\3");
}

}  // namespace
}  // namespace datamanager::testing
