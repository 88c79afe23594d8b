// A directory of a test's own.
#ifndef DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_
#define DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace datamanager::testing {

// Where files lie on a disk.
inline std::filesystem::path DiskDirectory() { return std::filesystem::temp_directory_path(); }

// Where files lie in memory, if there is room for what the tests write side by side: a container
// may have a few MB only.
inline std::filesystem::path MemoryDirectory() {
  constexpr std::uintmax_t kRoom = std::uintmax_t{1} << 30;
  const std::filesystem::path memory = "/dev/shm";
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(memory, error);
  const bool roomy = !error && space.available >= kRoom;
  return roomy && ::access(memory.c_str(), R_OK | W_OK | X_OK) == 0 ? memory : DiskDirectory();
}

// Made empty, and removed with all that is in it. By default it lies in memory, because thousands
// of tests that create and remove files are slow on ext4 and wear the disk. A test that is about a
// disk passes DiskDirectory().
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& parent = MemoryDirectory())
      : path_((parent / "datamanager-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;  // A test has nothing better to do about it.
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_
