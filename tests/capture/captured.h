// Reading back what was captured.
#ifndef DATAMANAGER_TESTS_CAPTURE_CAPTURED_H_
#define DATAMANAGER_TESTS_CAPTURE_CAPTURED_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_ops.h"
#include "capture_file/reader.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/support/files.h"

namespace datamanager::testing {

namespace wire = datamanager::wire::viam::app::datasync::v1;

struct CapturedFile {
  std::string path;
  wire::DataCaptureMetadata metadata;
  std::vector<wire::SensorData> records;
  bool whole = false;       // No bytes after the last record.
  uint64_t size = 0;        // Of the file.
  uint64_t last_frame = 0;  // Bytes of the last record and its length.
};

inline CapturedFile Load(const std::string& path) {
  CapturedFile file{.path = path};
  const std::string bytes = ReadFile(path);
  file.size = bytes.size();
  const UniqueFd fd(FileOps::System().Open(path.c_str(), O_RDONLY, 0));
  auto reader = capture_file::Reader::Open(FileOps::System(), fd.get(), bytes.size());
  EXPECT_TRUE(reader.ok()) << path << ": " << reader.status();
  if (!reader.ok()) return file;
  EXPECT_TRUE(file.metadata.ParseFromString(reader->metadata())) << path;
  while (true) {
    const auto record = reader->Next();
    EXPECT_TRUE(record.ok()) << path << ": " << record.status();
    if (!record.ok() || !record->has_value()) break;
    wire::SensorData data;
    EXPECT_TRUE(
        data.ParseFromString(bytes.substr((*record)->message.offset, (*record)->message.size)))
        << path;
    file.records.push_back(std::move(data));
    file.last_frame = (*record)->frame.size;
  }
  file.whole = reader->torn().ok();
  return file;
}

// The published files below `directory`, in the order of their names.
inline std::vector<CapturedFile> LoadPublished(const std::string& directory) {
  std::vector<CapturedFile> files;
  for (const std::string& path : FilesBelow(directory, ".capture")) files.push_back(Load(path));
  return files;
}

// The number under `key` of each record of readings in `files`.
inline std::vector<int> Numbers(const std::vector<CapturedFile>& files,
                                const std::string& key = "seq") {
  std::vector<int> numbers;
  for (const CapturedFile& file : files) {
    for (const wire::SensorData& record : file.records) {
      const auto& fields = record.struct_().fields().at("readings").struct_value().fields();
      const auto found = fields.find(key);
      if (found != fields.end()) {
        numbers.push_back(static_cast<int>(found->second.number_value()));
      }
    }
  }
  return numbers;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_CAPTURED_H_
