// Looking at and making files in tests.
#ifndef DATAMANAGER_TESTS_SUPPORT_FILES_H_
#define DATAMANAGER_TESTS_SUPPORT_FILES_H_

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace datamanager::testing {

inline void WriteFile(const std::string& path, std::string_view content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

inline bool Exists(const std::string& path) {
  return std::filesystem::exists(std::filesystem::symlink_status(path));
}

// The paths of everything below `directory` that is no directory and ends with `suffix`, sorted.
// Files may come and go meanwhile.
inline std::vector<std::string> FilesBelow(const std::string& directory,
                                           std::string_view suffix = "") {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(directory, error);
  while (!error && entry != std::filesystem::recursive_directory_iterator()) {
    const std::string path = entry->path().string();
    std::error_code gone;
    if (!entry->is_directory(gone) && path.ends_with(suffix)) paths.push_back(path);
    entry.increment(error);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FILES_H_
