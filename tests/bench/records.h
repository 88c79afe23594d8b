// Records and files of a given size, as capture writes them.
#ifndef DATAMANAGER_TESTS_BENCH_RECORDS_H_
#define DATAMANAGER_TESTS_BENCH_RECORDS_H_

#include <chrono>
#include <cstddef>
#include <string>

#include "capture/methods.h"
#include "capture/record_encoder.h"
#include "capture/tabular_answer.h"
#include "capture_file/record_buffer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/bench/compare.h"
#include "tests/bench/reading.h"

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

// As a collector's loop turns a reading into a record.
class ReadingEncoder {
 public:
  void Encode(const capture::RecordTimes& times, const Readings& readings,
              capture_file::RecordBuffer& out) const {
    out.Clear();
    Require(capture::PrependAnswer(method_, readings, out).ok(), "the encoder refuses the reading");
    capture::PrependTabularHead(times, out);
  }

 private:
  const capture::Method& method_ = **capture::FindMethod("rdk:component:sensor", "Readings");
};

// A record whose frame has exactly `size` bytes, at least 10.
inline capture_file::RecordBuffer RecordOf(size_t size) {
  wire::SensorData record;
  capture_file::RecordBuffer buffer;
  // Length prefixes grow with the payload, so that its length is found by trying.
  for (size_t length = size - 10; length < size; ++length) {
    record.set_binary(std::string(length, 'x'));
    buffer.Clear();
    buffer.PrependBytes(record.SerializeAsString());
    if (buffer.Frame().size() == size) return buffer;
  }
  throw Broken("no record has that size");
}

// The bytes of a file of readings that are no more than `size`, and how many there are.
struct TabularFile {
  std::string bytes;
  size_t records = 0;
};
inline TabularFile TabularFileOf(size_t size) {
  capture_file::RecordBuffer buffer;
  buffer.PrependBytes(TabularMetadata().SerializeAsString());
  TabularFile file{.bytes = std::string(buffer.Frame())};
  const ReadingEncoder encoder;
  Readings readings;
  while (true) {
    readings.Clear();
    FillReading(static_cast<double>(file.records), readings);
    const WallTime time{std::chrono::seconds(1767225600)};
    encoder.Encode({.requested = time, .received = time}, readings, buffer);
    if (file.bytes.size() + buffer.Frame().size() > size) return file;
    file.bytes += buffer.Frame();
    ++file.records;
  }
}

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_RECORDS_H_
