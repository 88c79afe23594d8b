// Records and files of a given size, as capture writes them.
#ifndef DATAMANAGER_TESTS_BENCH_RECORDS_H_
#define DATAMANAGER_TESTS_BENCH_RECORDS_H_

#include <cstddef>
#include <string>

#include "capture_file/record_buffer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/bench/compare.h"

namespace datamanager::bench {

namespace wire = datamanager::wire::viam::app::datasync::v1;

inline wire::DataCaptureMetadata TabularMetadata() {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type("rdk:component:sensor");
  metadata.set_component_name("sensor");
  metadata.set_method_name("Readings");
  metadata.set_type(wire::DATA_TYPE_TABULAR_SENSOR);
  metadata.set_file_extension(".dat");
  return metadata;
}

// A record whose frame has exactly `size` bytes.
inline capture_file::RecordBuffer RecordOf(size_t size) {
  wire::SensorData record;
  record.mutable_metadata()->mutable_time_requested()->set_seconds(1);
  auto& text = (*record.mutable_struct_()->mutable_fields())["text"];
  capture_file::RecordBuffer buffer;
  // Length prefixes grow with the text, so that its length is found by trying.
  for (size_t length = size - 64; length < size; ++length) {
    text.set_string_value(std::string(length, 'x'));
    const size_t bytes = record.ByteSizeLong();
    record.SerializeToArray(buffer.Resize(bytes), static_cast<int>(bytes));
    if (buffer.Frame().size() == size) return buffer;
  }
  throw Broken("no record has that size");
}

// The bytes of a file of at most `size` bytes, and how many records of `record_size` are in it.
struct TabularFile {
  std::string bytes;
  size_t records = 0;
};
inline TabularFile TabularFileOf(size_t size, size_t record_size) {
  capture_file::RecordBuffer metadata;
  const size_t metadata_size = TabularMetadata().ByteSizeLong();
  TabularMetadata().SerializeToArray(metadata.Resize(metadata_size),
                                     static_cast<int>(metadata_size));
  TabularFile file{.bytes = std::string(metadata.Frame())};
  capture_file::RecordBuffer record = RecordOf(record_size);
  for (; file.bytes.size() + record_size <= size; ++file.records) file.bytes += record.Frame();
  return file;
}

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_RECORDS_H_
