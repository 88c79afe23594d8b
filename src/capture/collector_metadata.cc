#include "capture/collector_metadata.h"

#include "base/strings.h"
#include "capture/record_encoder.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

// As the reference derives it: ReadImage from the MIME type that was asked for, whatever came.
std::string FileExtension(const config::CollectorSettings& settings, const Method& method) {
  if (!method.binary()) return ".dat";
  if (method.rule != PayloadRule::kOneImage) return "";
  const Value* wanted = settings.additional_params.Find("mime_type");
  if (wanted == nullptr) return "";
  if (wanted->AsString() == "image/jpeg") return ".jpeg";
  if (wanted->AsString() == "image/png") return ".png";
  if (wanted->AsString() == "pointcloud/pcd") return ".pcd";
  return "";
}

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
  metadata.set_file_extension(FileExtension(settings, method));
  for (const std::string& tag : tags) metadata.add_tags(tag);
  metadata.set_mime_type(std::string(mime_type));

  RecordEncoder encoder;
  for (const ValueMap::Entry& param : settings.additional_params) {
    absl::StatusOr<std::string> value = encoder.EncodeValue(param.value);
    if (!value.ok()) return Wrap(value.status(), "additional_params." + param.key);
    google::protobuf::Any any;
    any.set_type_url("type.googleapis.com/google.protobuf.Value");
    any.set_value(*std::move(value));
    (*metadata.mutable_method_parameters())[param.key] = std::move(any);
  }
  return metadata.SerializeAsString();
}

}  // namespace datamanager::capture
