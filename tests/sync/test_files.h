// Files for the tests of sync: capture files and others, written and looked at.
#ifndef DATAMANAGER_TESTS_SYNC_TEST_FILES_H_
#define DATAMANAGER_TESTS_SYNC_TEST_FILES_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_ops.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/found_file.h"
#include "sync/local_file.h"

namespace datamanager::sync {

namespace wire = datamanager::wire::viam::app::datasync::v1;

inline void WriteFile(const std::string& path, std::string_view bytes) {
  std::filesystem::create_directories(ParentPath(path));
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  ASSERT_TRUE(out.flush().good()) << path;
}

inline void AppendToFile(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::app);
  out << bytes;
  ASSERT_TRUE(out.flush().good()) << path;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

// Lets the file seem to have been changed that long ago; negative: in the future.
inline void SetAge(const std::string& path, std::chrono::seconds age) {
  const auto modified = std::chrono::system_clock::now() - age;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(modified.time_since_epoch()).count();
  const timespec times[] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0) << path;
}

// All regular files below `root`, relative to it and sorted.
inline std::vector<std::string> FilesBelow(const std::string& root) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(root, error);
       it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    if (error) break;
    if (it->is_regular_file(error)) files.push_back(it->path().string().substr(root.size() + 1));
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline std::string Join(const std::vector<std::string>& words, std::string_view separator = " ") {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

// What the walker says of the file at `path`.
inline FoundFile Found(const std::string& root, const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  FileKind kind = FileKind::kArbitrary;
  if (ParentPath(path) == root + "/datasetUpload" &&
      capture_file::IsDatasetUpload(BaseName(path))) {
    kind = FileKind::kDatasetUpload;
  } else if (capture_file::IsComplete(BaseName(path))) {
    kind = FileKind::kCapture;
  }
  return {.root = root,
          .path = path,
          .kind = kind,
          .id = FileId::Of(info),
          .version = FileVersion::Of(info)};
}

inline wire::DataCaptureMetadata TabularMetadata(const std::string& component = "arm",
                                                 const std::string& method = "Readings") {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type("rdk:component:sensor");
  metadata.set_component_name(component);
  metadata.set_method_name(method);
  metadata.set_type(wire::DATA_TYPE_TABULAR_SENSOR);
  metadata.set_file_extension(".dat");
  return metadata;
}

inline wire::DataCaptureMetadata BinaryMetadata(const std::string& component = "cam",
                                                const std::string& method = "ReadImage",
                                                const std::string& mime_type = "image/jpeg",
                                                const std::string& extension = ".jpeg") {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type("rdk:component:camera");
  metadata.set_component_name(component);
  metadata.set_method_name(method);
  metadata.set_type(wire::DATA_TYPE_BINARY_SENSOR);
  metadata.set_file_extension(extension);
  metadata.set_mime_type(mime_type);
  return metadata;
}

// A record {"readings": {"value": value}}, requested at second `value`.
inline wire::SensorData Reading(int value, const std::string& text = "") {
  wire::SensorData record;
  record.mutable_metadata()->mutable_time_requested()->set_seconds(value);
  record.mutable_metadata()->mutable_time_received()->set_seconds(value);
  auto& readings =
      *(*record.mutable_struct_()->mutable_fields())["readings"].mutable_struct_value();
  (*readings.mutable_fields())["value"].set_number_value(value);
  if (!text.empty()) (*readings.mutable_fields())["text"].set_string_value(text);
  return record;
}

inline wire::SensorData Image(std::string payload, int second = 1) {
  wire::SensorData record;
  record.mutable_metadata()->mutable_time_requested()->set_seconds(second);
  record.mutable_metadata()->mutable_time_received()->set_seconds(second);
  *record.mutable_binary() = std::move(payload);
  return record;
}

// Bytes without a pattern that a piece could be mistaken by.
inline std::string Noise(size_t size, uint32_t seed = 1) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

inline std::string Varint(uint64_t value) {
  char bytes[capture_file::kMaxVarintBytes];
  return {bytes, capture_file::WriteVarint(value, bytes)};
}

template <typename Message>
std::string Framed(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  return Varint(bytes.size()) + bytes;
}

inline std::string CaptureFileBytes(const wire::DataCaptureMetadata& metadata,
                                    const std::vector<wire::SensorData>& records) {
  std::string bytes = Framed(metadata);
  for (const wire::SensorData& record : records) bytes += Framed(record);
  return bytes;
}

// The value of Reading(value).
inline int ValueOf(const wire::SensorData& record) {
  const auto& readings = record.struct_().fields().at("readings").struct_value();
  return static_cast<int>(readings.fields().at("value").number_value());
}

inline std::string ValuesOf(const std::vector<wire::SensorData>& records) {
  std::vector<std::string> values;
  for (const wire::SensorData& record : records) values.push_back(std::to_string(ValueOf(record)));
  return Join(values, ",");
}

}  // namespace datamanager::sync

#endif  // DATAMANAGER_TESTS_SYNC_TEST_FILES_H_
