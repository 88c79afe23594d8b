#include "capture/collector_metadata.h"

#include "base/strings.h"
#include "capture/struct_encoder.h"
#include "capture_file/record_buffer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

}  // namespace

absl::StatusOr<std::string> CollectorMetadata(const config::CollectorSettings& settings,
                                              const Method& method,
                                              const std::vector<std::string>& tags,
                                              std::string_view mime_type) {
  wire::DataCaptureMetadata metadata;
  metadata.set_component_type(settings.api);
  metadata.set_component_name(settings.name);
  metadata.set_method_name(settings.method);
  metadata.set_type(method.binary() ? wire::DATA_TYPE_BINARY_SENSOR
                                    : wire::DATA_TYPE_TABULAR_SENSOR);
  metadata.set_file_extension(std::string(FileExtension(method, settings.additional_params)));
  for (const std::string& tag : tags) metadata.add_tags(tag);
  metadata.set_mime_type(std::string(mime_type));

  capture_file::RecordBuffer buffer;
  for (const ValueMap::Entry& param : settings.additional_params) {
    buffer.Clear();
    if (absl::Status status = PrependValue(param.value, buffer); !status.ok()) {
      return Wrap(status, "additional_params." + param.key);
    }
    google::protobuf::Any any;
    any.set_type_url("type.googleapis.com/google.protobuf.Value");
    any.set_value(std::string(buffer.message()));
    (*metadata.mutable_method_parameters())[param.key] = std::move(any);
  }
  return metadata.SerializeAsString();
}

}  // namespace datamanager::capture
