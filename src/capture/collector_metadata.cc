#include "capture/collector_metadata.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/struct_encoder.h"
#include "capture_file/record_buffer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

absl::Status CheckText(std::string_view what, std::string_view text) {
  if (IsUtf8(text)) return absl::OkStatus();
  constexpr size_t kShown = 64;
  return absl::InvalidArgumentError(absl::StrCat(
      ToAbsl(what), " is not UTF-8: \"", absl::CHexEscape(ToAbsl(text.substr(0, kShown))), "\""));
}

// Names are not checked here: the config's check covers them, because they become directories.
absl::Status CheckTexts(const config::CollectorSettings& settings,
                        const std::vector<std::string>& tags) {
  for (const std::string& tag : tags) {
    if (absl::Status status = CheckText("a tag", tag); !status.ok()) return status;
  }
  for (const ValueMap::Entry& param : settings.additional_params) {
    absl::Status status = CheckText("a key of additional_params", param.key);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CollectorMetadata(const config::CollectorSettings& settings,
                                              const Method& method,
                                              const std::vector<std::string>& tags,
                                              std::string_view mime_type) {
  if (absl::Status status = CheckTexts(settings, tags); !status.ok()) return status;
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
  const size_t room = mime_type.empty() && method.binary() ? kMaxMimeTypeBytes : 0;
  const size_t size = metadata.ByteSizeLong() + room;
  if (size > capture_file::kMaxMetadataBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "its metadata has ", size, " bytes, more than the ", capture_file::kMaxMetadataBytes,
        " that a capture file can have: tags and additional_params are too large"));
  }
  return metadata.SerializeAsString();
}

}  // namespace datamanager::capture
