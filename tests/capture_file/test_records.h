// Messages for capture files, made by Protobuf.
#ifndef DATAMANAGER_TESTS_CAPTURE_FILE_TEST_RECORDS_H_
#define DATAMANAGER_TESTS_CAPTURE_FILE_TEST_RECORDS_H_

#include <string>
#include <string_view>

#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::testing {

namespace wire = datamanager::wire::viam::app::datasync::v1;

inline std::string Varint(uint64_t value) {
  std::string text(capture_file::VarintSize(value), '\0');
  capture_file::WriteVarint(value, text.data());
  return text;
}

// A message with its length before it.
inline std::string Frame(std::string_view message) {
  return Varint(message.size()) + std::string(message);
}

inline std::string TestMetadata() {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type("rdk:component:sensor");
  metadata.set_component_name("cpu");
  metadata.set_method_name("Readings");
  metadata.set_type(wire::DATA_TYPE_TABULAR_SENSOR);
  metadata.set_file_extension(".dat");
  return metadata.SerializeAsString();
}

// A record that says `n`.
inline std::string TabularRecord(int n) {
  wire::SensorData data;
  data.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000 + n);
  data.mutable_metadata()->mutable_time_received()->set_seconds(1700000000 + n);
  (*data.mutable_struct_()->mutable_fields())["n"].set_number_value(n);
  return data.SerializeAsString();
}

inline std::string BinaryRecord(std::string_view payload) {
  wire::SensorData data;
  data.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000);
  data.set_binary(std::string(payload));
  return data.SerializeAsString();
}

// A capture file with the records 0 to `count` - 1.
inline std::string TabularFile(int count) {
  std::string file = Frame(TestMetadata());
  for (int n = 0; n < count; ++n) file += Frame(TabularRecord(n));
  return file;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_FILE_TEST_RECORDS_H_
