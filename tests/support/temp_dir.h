// A directory of a test's own.
#ifndef DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_
#define DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace datamanager::testing {

// Where files lie in memory, if there is such a place.
inline std::filesystem::path MemoryDirectory() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), R_OK | W_OK | X_OK) == 0 ? memory
                                                           : std::filesystem::temp_directory_path();
}

// Made empty, and removed with all that is in it.
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& parent = std::filesystem::temp_directory_path())
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
