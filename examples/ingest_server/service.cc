#include "ingest_server/service.h"

#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/util/json_util.h"
#include "ingest_server/break_connection.h"
#include "ingest_server/message_limit.h"
#include "ingest_server/rpc_status.h"
#include "ingest_server/stream_reader.h"
#include "ingest_server/upload_call.h"
#include "json/json.h"

namespace ingest {
namespace {

using viam::app::datasync::v1::DataCaptureUploadMetadata;
using viam::app::datasync::v1::DataCaptureUploadRequest;
using viam::app::datasync::v1::DataCaptureUploadResponse;
using viam::app::datasync::v1::DataType;
using viam::app::datasync::v1::DataType_Name;
using viam::app::datasync::v1::FileUploadRequest;
using viam::app::datasync::v1::FileUploadResponse;
using viam::app::datasync::v1::SensorData;
using viam::app::datasync::v1::SensorMetadata;
using viam::app::datasync::v1::StreamingDataCaptureUploadRequest;
using viam::app::datasync::v1::StreamingDataCaptureUploadResponse;
using viam::app::datasync::v1::UploadMetadata;

// How often a stalled call looks whether its client is still there: a synchronous call has no other
// way to know.
constexpr std::chrono::milliseconds kStallCheck{10};

// As a count of messages: there are no more.
constexpr int kAllMessages = std::numeric_limits<int>::max();

absl::StatusOr<std::optional<absl::Time>> ToTime(bool present,
                                                 const google::protobuf::Timestamp& time,
                                                 std::string_view field) {
  if (!present) return std::nullopt;
  // The years 1 to 9999, as the definition of Timestamp has it.
  constexpr int64_t kMinSeconds = -62135596800;
  constexpr int64_t kMaxSeconds = 253402300799;
  if (time.seconds() < kMinSeconds || time.seconds() > kMaxSeconds || time.nanos() < 0 ||
      time.nanos() > 999999999) {
    return absl::InvalidArgumentError(
        absl::StrCat(datamanager::ToAbsl(field), " is not a valid timestamp"));
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::StatusOr<Item> ToItem(Kind kind, const SensorMetadata& metadata) {
  const auto requested =
      ToTime(metadata.has_time_requested(), metadata.time_requested(), "time_requested");
  if (!requested.ok()) return requested.status();
  const auto received =
      ToTime(metadata.has_time_received(), metadata.time_received(), "time_received");
  if (!received.ok()) return received.status();
  Item item{.kind = kind, .time_requested = *requested, .time_received = *received};
  if (metadata.has_annotations()) {
    const auto status =
        google::protobuf::util::MessageToJsonString(metadata.annotations(), &item.annotations);
    if (!status.ok()) return absl::InvalidArgumentError("the annotations have no JSON form");
  }
  return item;
}

std::string TypeName(const UploadMetadata& metadata) {
  const std::string& name = DataType_Name(metadata.type());
  return name.empty() ? absl::StrCat(static_cast<int>(metadata.type())) : name;
}

absl::Status CheckType(const UploadMetadata& metadata, DataType wanted) {
  if (metadata.type() == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("metadata.type must be ", DataType_Name(wanted),
                                                 " here, not ", TypeName(metadata)));
}

absl::StatusOr<Blob> StoreBlob(const IngestStore& store, std::string_view bytes) {
  auto blob = store.NewBlob();
  if (!blob.ok()) return blob.status();
  if (absl::Status status = (*blob)->Append(bytes); !status.ok()) return status;
  return (*blob)->Finish();
}

absl::StatusOr<Item> ToItem(Kind kind, const SensorData& record) {
  if (kind == Kind::kReading && !record.has_struct_()) {
    return absl::InvalidArgumentError("tabular data must have `struct`");
  }
  if (kind == Kind::kBinary && !record.has_binary()) {
    return absl::InvalidArgumentError("binary data must have `binary`");
  }
  absl::StatusOr<Item> item = ToItem(kind, record.metadata());
  if (item.ok() && kind == Kind::kReading) item->json = json::ToJson(record.struct_());
  return item;
}

absl::StatusOr<Upload> ReceiveCapture(const IngestStore& store,
                                      const DataCaptureUploadRequest& request) {
  if (absl::Status status = CheckSize(request); !status.ok()) return status;
  if (!request.has_metadata()) return absl::InvalidArgumentError("metadata is missing");
  const bool binary = request.metadata().type() == DataType::DATA_TYPE_BINARY_SENSOR;
  if (!binary && request.metadata().type() != DataType::DATA_TYPE_TABULAR_SENSOR) {
    return absl::InvalidArgumentError(absl::StrCat(
        "metadata.type must be tabular or binary here, not ", TypeName(request.metadata())));
  }
  if (request.sensor_contents().empty()) {
    return absl::InvalidArgumentError("sensor_contents is empty");
  }
  Upload upload{.metadata = request.metadata()};
  for (const SensorData& record : request.sensor_contents()) {
    absl::StatusOr<Item> item = ToItem(binary ? Kind::kBinary : Kind::kReading, record);
    if (!item.ok()) {
      return datamanager::Wrap(item.status(),
                               absl::StrCat("sensor_contents[", upload.items.size(), "]"));
    }
    upload.items.push_back(*std::move(item));
  }
  if (!binary) return upload;
  // Only when all is known to be right, so that a refused request leaves nothing behind.
  for (size_t i = 0; i < upload.items.size(); ++i) {
    absl::StatusOr<Blob> blob =
        StoreBlob(store, request.sensor_contents(static_cast<int>(i)).binary());
    if (!blob.ok()) return blob.status();
    upload.items[i].blob = *std::move(blob);
  }
  return upload;
}

// The first message of a stream, for which `metadata_of` yields a pointer, or null.
template <typename Request, typename MetadataOf>
auto ReceiveMetadata(StreamReader<Request>& stream, MetadataOf metadata_of)
    -> absl::StatusOr<std::decay_t<decltype(*metadata_of(std::declval<const Request&>()))>> {
  const absl::StatusOr<const Request*> message = stream.Next();
  if (!message.ok()) return message.status();
  const auto* metadata = *message == nullptr ? nullptr : metadata_of(**message);
  if (metadata == nullptr) {
    return absl::InvalidArgumentError("the first message of the stream must be its metadata");
  }
  return *metadata;
}

// The rest of a stream, for each message of which `bytes_of` yields a pointer, or null. `progress`
// takes the number of messages read before each one, and kAllMessages at the end.
template <typename Request, typename Progress, typename BytesOf>
absl::StatusOr<Blob> ReceiveBlob(const IngestStore& store, StreamReader<Request>& stream,
                                 const Progress& progress, BytesOf bytes_of) {
  auto blob = store.NewBlob();
  if (!blob.ok()) return blob.status();
  for (int messages = 0;; ++messages) {
    if (absl::Status status = progress(messages); !status.ok()) return status;
    const absl::StatusOr<const Request*> message = stream.Next();
    if (!message.ok()) return message.status();
    if (*message == nullptr) {
      if (absl::Status status = progress(kAllMessages); !status.ok()) return status;
      return (*blob)->Finish();
    }
    const std::string* bytes = bytes_of(**message);
    if (bytes == nullptr) {
      return absl::InvalidArgumentError("each message after the first must have content");
    }
    if (absl::Status status = (*blob)->Append(*bytes); !status.ok()) return status;
  }
}

template <typename Progress>
absl::StatusOr<Upload> ReceiveFile(const IngestStore& store, const UploadMetadata& metadata,
                                   StreamReader<FileUploadRequest>& stream,
                                   const Progress& progress) {
  if (absl::Status status = CheckType(metadata, DataType::DATA_TYPE_FILE); !status.ok()) {
    return status;
  }
  absl::StatusOr<Blob> blob =
      ReceiveBlob(store, stream, progress, [](const FileUploadRequest& message) {
        return message.has_file_contents() ? &message.file_contents().data() : nullptr;
      });
  if (!blob.ok()) return blob.status();
  return Upload{.metadata = metadata, .items = {{.kind = Kind::kFile, .blob = *std::move(blob)}}};
}

template <typename Progress>
absl::StatusOr<Upload> ReceiveStreamedCapture(
    const IngestStore& store, const DataCaptureUploadMetadata& metadata,
    StreamReader<StreamingDataCaptureUploadRequest>& stream, const Progress& progress) {
  if (!metadata.has_upload_metadata()) {
    return absl::InvalidArgumentError("metadata.upload_metadata is missing");
  }
  if (absl::Status status =
          CheckType(metadata.upload_metadata(), DataType::DATA_TYPE_BINARY_SENSOR);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<Item> item = ToItem(Kind::kBinary, metadata.sensor_metadata());
  if (!item.ok()) return item.status();
  absl::StatusOr<Blob> blob =
      ReceiveBlob(store, stream, progress, [](const StreamingDataCaptureUploadRequest& message) {
        return message.has_data() ? &message.data() : nullptr;
      });
  if (!blob.ok()) return blob.status();
  item->blob = *std::move(blob);
  return Upload{.metadata = metadata.upload_metadata(), .items = {*std::move(item)}};
}

}  // namespace

template <typename Response, typename Receive>
grpc::Status IngestService::Handle(grpc::ServerContext& context, const UploadMetadata& metadata,
                                   Response& response, Receive receive) {
  if (absl::Status status = CheckPart(authenticator_, context, metadata.part_id()); !status.ok()) {
    return NotStored(status);
  }
  const Faults faults = faults_.ForNextCall(metadata.component_name(), metadata.file_name());
  if (faults.delay.count() != 0) {
    ++delays_;
    if (!WaitUntil(std::chrono::steady_clock::now() + faults.delay)) {
      return {grpc::StatusCode::UNAVAILABLE, "the server is shutting down"};
    }
  }
  absl::Status struck;
  const Progress progress = [&](int messages) {
    return struck = Strike(context, faults, messages);
  };
  absl::StatusOr<Stored> stored = FindAnnounced(context, metadata);
  if (stored.ok() && stored->already) {
    if (!progress(kAllMessages).ok()) return ToGrpc(struck);
  } else if (stored.ok()) {
    absl::StatusOr<Upload> upload = receive(progress);
    if (!struck.ok()) return ToGrpc(struck);
    if (!upload.ok()) return NotStored(upload.status());
    upload->key = UploadKey(context);
    stored = store_.Add(*upload);
  }
  if (!stored.ok()) return NotStored(stored.status());
  if (stored->already) context.AddTrailingMetadata(kAlreadyStored, stored->digest);
  if (stored->key_clashes) {
    std::fprintf(
        stderr,
        "ingest_server: part \"%s\" sent other content than before with the key %s of %s%s; "
        "both are stored\n",
        absl::CHexEscape(metadata.part_id()).c_str(), absl::CHexEscape(UploadKey(context)).c_str(),
        absl::CHexEscape(metadata.component_name()).c_str(),
        absl::CHexEscape(metadata.file_name()).c_str());
  }
  if (faults.drop_after_store) {
    ++drops_;
    if (!BreakConnection(context.peer())) context.TryCancel();
  }
  response.set_binary_data_id(absl::StrCat(stored->id));
  return grpc::Status::OK;
}

absl::StatusOr<Stored> IngestService::FindAnnounced(const grpc::ServerContext& context,
                                                    const UploadMetadata& metadata) {
  const std::string key = UploadKey(context);
  const std::string digest = ContentSha256(context);
  if (key.empty() || digest.empty()) return Stored{};
  const Kind kind = metadata.type() == DataType::DATA_TYPE_FILE ? Kind::kFile : Kind::kBinary;
  absl::StatusOr<std::optional<Stored>> found = store_.Find(metadata.part_id(), kind, key, digest);
  if (!found.ok()) return found.status();
  return found->value_or(Stored{});
}

absl::Status IngestService::Strike(const grpc::ServerContext& context, const Faults& faults,
                                   int messages) {
  if (messages < faults.after_messages) return absl::OkStatus();
  if (faults.stall) {
    ++stalls_;
    while (!context.IsCancelled()) {
      if (!WaitUntil(std::chrono::steady_clock::now() + kStallCheck)) {
        return absl::UnavailableError("the server is shutting down");
      }
    }
    return absl::CancelledError("the client did not wait for the end of a stall");
  }
  if (faults.failure == grpc::StatusCode::OK) return absl::OkStatus();
  ++failures_;
  return {static_cast<absl::StatusCode>(faults.failure), "an injected fault"};
}

bool IngestService::WaitUntil(datamanager::MonotonicTime end) {
  datamanager::MutexLock lock(mutex_);
  never_.WaitUntil(mutex_, stop_.get_token(), end, [] { return false; });
  return !stop_.stop_requested();
}

grpc::Status IngestService::DataCaptureUpload(grpc::ServerContext* context,
                                              const DataCaptureUploadRequest* request,
                                              DataCaptureUploadResponse* response) {
  if (absl::Status status = CheckClient(authenticator_, *context); !status.ok()) {
    return NotStored(status);
  }
  return Handle(*context, request->metadata(), *response,
                [&](const Progress& progress) -> absl::StatusOr<Upload> {
                  if (absl::Status status = progress(kAllMessages); !status.ok()) return status;
                  return ReceiveCapture(store_, *request);
                });
}

grpc::Status IngestService::FileUpload(grpc::ServerContext* context,
                                       grpc::ServerReader<FileUploadRequest>* reader,
                                       FileUploadResponse* response) {
  if (absl::Status status = CheckClient(authenticator_, *context); !status.ok()) {
    return NotStored(status);
  }
  StreamReader<FileUploadRequest> stream(*context, *reader);
  const absl::StatusOr<UploadMetadata> metadata =
      ReceiveMetadata(stream, [](const FileUploadRequest& message) {
        return message.has_metadata() ? &message.metadata() : nullptr;
      });
  if (!metadata.ok()) return NotStored(metadata.status());
  return Handle(*context, *metadata, *response, [&](const Progress& progress) {
    return ReceiveFile(store_, *metadata, stream, progress);
  });
}

grpc::Status IngestService::StreamingDataCaptureUpload(
    grpc::ServerContext* context, grpc::ServerReader<StreamingDataCaptureUploadRequest>* reader,
    StreamingDataCaptureUploadResponse* response) {
  if (absl::Status status = CheckClient(authenticator_, *context); !status.ok()) {
    return NotStored(status);
  }
  StreamReader<StreamingDataCaptureUploadRequest> stream(*context, *reader);
  const absl::StatusOr<DataCaptureUploadMetadata> metadata =
      ReceiveMetadata(stream, [](const StreamingDataCaptureUploadRequest& message) {
        return message.has_metadata() ? &message.metadata() : nullptr;
      });
  if (!metadata.ok()) return NotStored(metadata.status());
  return Handle(*context, metadata->upload_metadata(), *response, [&](const Progress& progress) {
    return ReceiveStreamedCapture(store_, *metadata, stream, progress);
  });
}

}  // namespace ingest
