#include "capture_file/record_check.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture_file {

namespace wire = datamanager::wire::viam::app::datasync::v1;

absl::StatusOr<bool> Parses(FileOps& ops, int fd, const Record& record) {
  const auto parse = [&](Extent extent, google::protobuf::MessageLite&& message) {
    std::string bytes(extent.size, '\0');
    absl::Status status =
        ReadExactly(ops, fd, static_cast<off_t>(extent.offset), bytes.size(), bytes.data());
    return status.ok() ? absl::StatusOr<bool>(message.ParseFromString(bytes)) : status;
  };
  if (record.metadata.size > kMaxMetadataBytes) return false;
  absl::StatusOr<bool> parses = parse(record.metadata, wire::SensorMetadata());
  if (!parses.ok() || !*parses || record.payload_kind == Record::Payload::kBinary) return parses;
  return parse(record.payload, google::protobuf::Struct());
}

absl::Status UnparsableRecord(const Record& record) {
  return absl::DataLossError(
      absl::StrCat("at byte ", record.frame.offset, ": a record that does not parse"));
}

}  // namespace datamanager::capture_file
