// A directory for one test.
#ifndef DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_
#define DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

namespace datamanager::testing {

// Is there, and empty, when made; is gone with all that is in it when destroyed.
class TempDir {
 public:
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "datamanager-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), pattern);
    }
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;  // A leftover is no reason to fail a test.
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_TEMP_DIR_H_
