// Records that can be told apart wherever they turn up, whole or altered.
#ifndef DATAMANAGER_TESTS_SIMULATION_RECORDS_H_
#define DATAMANAGER_TESTS_SIMULATION_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::simulation {

namespace wire = datamanager::wire::viam::app::datasync::v1;

struct Record {
  std::string id;       // "<collector>/<number>"
  std::string message;  // The serialized SensorData, which holds the id.
};

// No two bytes in a row are zero, so that zeros of a medium show.
inline std::string Filling(const std::string& id, size_t size) {
  std::string text = id + ":";
  uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += static_cast<char>('a' + (state >> 24) % 26);
  }
  return text;
}

inline Record TabularRecord(const std::string& collector, int number, size_t size = 60) {
  Record record{.id = collector + "/" + std::to_string(number)};
  wire::SensorData data;
  data.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000 + number);
  (*data.mutable_struct_()->mutable_fields())["text"].set_string_value(Filling(record.id, size));
  record.message = data.SerializeAsString();
  return record;
}

inline Record BinaryRecord(const std::string& collector, int number, size_t size) {
  Record record{.id = collector + "/" + std::to_string(number)};
  wire::SensorData data;
  data.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000 + number);
  data.set_binary(Filling(record.id, size));
  record.message = data.SerializeAsString();
  return record;
}

inline std::string Framed(std::string_view message) {
  std::string frame(capture_file::VarintSize(message.size()), '\0');
  capture_file::WriteVarint(message.size(), frame.data());
  return frame.append(message);
}

inline std::string MetadataOf(const std::string& collector, bool binary) {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type("rdk:component:sensor");
  metadata.set_component_name(collector);
  metadata.set_method_name("Readings");
  metadata.set_type(binary ? wire::DATA_TYPE_BINARY_SENSOR : wire::DATA_TYPE_TABULAR_SENSOR);
  metadata.set_file_extension(binary ? ".bin" : ".dat");
  return metadata.SerializeAsString();
}

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_RECORDS_H_
