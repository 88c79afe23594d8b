#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "base/strings.h"
#include "capture_file/reader.h"
#include "capture_file/record_check.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/await_call.h"
#include "sync/content_digest.h"
#include "sync/mime_type.h"
#include "sync/stream.h"
#include "sync/upload_key.h"
#include "sync/uploads.h"
#include "sync/wire_field.h"

namespace datamanager::sync {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;
using capture_file::Reader;
using capture_file::Record;

// Requests with several records stay below this, and below what the server has told that it takes.
constexpr uint64_t kRequestBytes = 4 << 20;
// Files of the default size are read but once.
constexpr uint64_t kWindowBytes = 512 << 10;
// Binary payloads beyond this are streamed (the reference's figure).
constexpr uint64_t kUnaryPayloadBytes = 1000000;
// Of a unary call only the end shows: it has the time for the reply, and for its request at 16
// KB/s.
constexpr uint64_t kSlowestBytesPerMs = 16;
// A record's own metadata has to be read to be streamed.
constexpr uint64_t kMaxSensorMetadataBytes = 1 << 20;

// Fields of DataCaptureUploadRequest and StreamingDataCaptureUploadRequest.
constexpr int kRequestMetadata = 1;
constexpr int kRequestRecords = 2;
constexpr int kPacketMetadata = 1;
constexpr int kPacketData = 2;

wire::UploadMetadata ToUploadMetadata(wire::DataCaptureMetadata&& stored,
                                      const std::string& part_id) {
  wire::UploadMetadata metadata;
  metadata.set_part_id(part_id);
  metadata.set_component_type(std::move(*stored.mutable_component_type()));
  metadata.set_component_name(std::move(*stored.mutable_component_name()));
  metadata.set_method_name(std::move(*stored.mutable_method_name()));
  metadata.set_type(stored.type());
  *metadata.mutable_method_parameters() = std::move(*stored.mutable_method_parameters());
  metadata.set_file_extension(std::move(*stored.mutable_file_extension()));
  *metadata.mutable_tags() = std::move(*stored.mutable_tags());
  metadata.set_mime_type(std::move(*stored.mutable_mime_type()));
  if (metadata.type() == wire::DATA_TYPE_BINARY_SENSOR) {
    const std::string_view extension = ExtensionOf(metadata.mime_type());
    if (!extension.empty()) metadata.set_file_extension(std::string(extension));
  }
  return metadata;
}

uint64_t SizeOf(const std::vector<uint32_t>& frames) {
  return std::accumulate(frames.begin(), frames.end(), uint64_t{0});
}

// Appends the frames that lie in the file from `begin` on, each behind its tag, which makes it a
// field of the request.
absl::Status AppendFrames(const Reader& reader, uint64_t begin, const std::vector<uint32_t>& frames,
                          std::string& request) {
  const uint64_t size = SizeOf(frames);
  if (const char* in = reader.View({begin, size}); in != nullptr) {
    for (const uint32_t frame : frames) {
      request += LengthTag(kRequestRecords);
      request.append(in, frame);
      in += frame;
    }
    return absl::OkStatus();
  }
  // All are read to the end, and then moved forward one by one: it takes no second buffer.
  const size_t head = request.size();
  request.resize(head + frames.size() + size);
  char* out = request.data() + head;
  char* in = out + frames.size();
  if (absl::Status status = reader.Read({begin, size}, in); !status.ok()) return status;
  for (const uint32_t frame : frames) {
    *out++ = LengthTag(kRequestRecords);
    std::memmove(out, in, frame);
    out += frame;
    in += frame;
  }
  return absl::OkStatus();
}

// One upload of one file; it ends at the first error.
class CaptureFileUpload {
 public:
  CaptureFileUpload(const UploadContext& context, const LocalFile& file)
      : context_(context), file_(file) {}

  Task<UploadResult> Run(uint64_t resume_offset) {
    co_await SendAll(resume_offset);
    co_return std::move(result_);
  }

 private:
  Task<void> SendAll(uint64_t resume_offset);
  Task<absl::StatusOr<std::string>> DigestOfAll(const Reader& reader);
  // Sends as many records as fit into one request, or one binary record. False: no more to send.
  Task<bool> SendNext(Reader& reader);
  // The next record of the kind that the file is for; nullopt at the end of what can be sent.
  std::optional<Record> NextRecord(Reader& reader);
  // Sends records that follow one another from `begin` on; of each, how long its frame is.
  Task<bool> SendUnary(Reader& reader, uint64_t begin, const std::vector<uint32_t>& frames);
  Task<bool> SendStream(const Record& record);
  // Whether an error of the server's means that it could not parse what it was sent, and which of
  // the records from `begin` up to `end` is to blame: from there on the file is damaged.
  bool FoundDamage(Reader& reader, uint64_t begin, uint64_t end);

  bool FailFile(absl::Status status, std::string_view step) {
    return Fail({.status = std::move(status),
                 .origin = ErrorOrigin::kFile,
                 .stopped = context_.stop.stop_requested()},
                step);
  }
  bool Fail(UploadError error, std::string_view step) {
    if (error.origin == ErrorOrigin::kFile) {
      // Bytes of a file that is being changed are no reason to condemn it.
      if (absl::IsDataLoss(error.status)) {
        if (absl::Status changed = file_.CheckUnchanged(); !changed.ok()) error.status = changed;
      }
      // What was sent is not what the file holds by now.
      if (absl::IsAborted(error.status)) result_.resume_offset = 0;
    }
    result_.error = std::move(error);
    result_.step = step;
    return false;
  }
  bool binary() const { return result_.kind == DataKind::kBinary; }
  // The size of a request with so many records, which take so many bytes in the file: each has one
  // more byte there.
  uint64_t RequestBytes(size_t records, uint64_t bytes) const {
    return request_head_.size() + bytes + records;
  }
  uint64_t MostRequestBytes() const { return context_.message_limit.AtMost(kRequestBytes); }
  // Whether the server has just told a limit that lets it take the same records in other requests.
  bool MayBeSplit() {
    return !result_.error.status.ok() && result_.error.origin == ErrorOrigin::kServer &&
           context_.message_limit.Learn(result_.error.status) &&
           ++splits_ <= MessageLimit::kMostSplits;
  }
  CallOptions Options(uint64_t begin, uint64_t end) const {
    return {.connection = context_.connection,
            .upload_key = keys_->ForRange(begin, end),
            .timeout = context_.stall_timeout,
            .reply_timeout = context_.reply_timeout,
            .stop = context_.stop};
  }

  const UploadContext& context_;
  const LocalFile& file_;
  UploadResult result_;
  wire::UploadMetadata metadata_;
  std::string metadata_bytes_;
  std::string request_head_;  // What a unary request begins with.
  int splits_ = 0;
  std::optional<UploadKeys> keys_;
  std::optional<Record> damaged_;
};

Task<absl::StatusOr<std::string>> CaptureFileUpload::DigestOfAll(const Reader& reader) {
  const capture_file::Extent all{.offset = 0, .size = file_.size()};
  // What has been read already is not read again.
  if (const char* bytes = reader.View(all); bytes != nullptr) {
    co_return Sha256::Of(std::string_view(bytes, all.size));
  }
  co_return co_await DigestOf(file_, all, context_.calls, context_.stop, context_.digests);
}

Task<void> CaptureFileUpload::SendAll(uint64_t resume_offset) {
  if (file_.size() == 0) {
    result_.empty = true;
    co_return;
  }
  absl::StatusOr<Reader> reader = Reader::Open(file_.ops(), file_.fd(), file_.size(), kWindowBytes);
  if (!reader.ok()) {
    FailFile(reader.status(), "read metadata");
    co_return;
  }
  wire::DataCaptureMetadata stored;
  if (!stored.ParseFromString(reader->metadata())) {
    FailFile(absl::DataLossError("not a capture file: its metadata does not parse"),
             "read metadata");
    co_return;
  }
  if (stored.type() != wire::DATA_TYPE_TABULAR_SENSOR &&
      stored.type() != wire::DATA_TYPE_BINARY_SENSOR) {
    FailFile(absl::DataLossError(absl::StrCat("invalid capture file type ", stored.type())),
             "read metadata");
    co_return;
  }
  result_.kind =
      stored.type() == wire::DATA_TYPE_BINARY_SENSOR ? DataKind::kBinary : DataKind::kTabular;
  const uint64_t first = reader->position();
  metadata_ = ToUploadMetadata(std::move(stored), context_.part_id);
  metadata_bytes_ = metadata_.SerializeAsString();
  AppendField(kRequestMetadata, metadata_bytes_, request_head_);
  const absl::StatusOr<std::string> digest = co_await DigestOfAll(*reader);
  if (!digest.ok()) {
    FailFile(digest.status(), "read");
    co_return;
  }
  keys_.emplace(context_.part_id, FileKind::kCapture, *digest);
  result_.key = keys_->ForRange(0, file_.size());
  if (context_.is_stored && context_.is_stored(result_.key)) {
    result_.resume_offset = file_.size();
    co_return;
  }

  if (resume_offset > first && resume_offset <= file_.size()) reader->Seek(resume_offset);
  result_.resume_offset = reader->position();
  while (co_await SendNext(*reader)) result_.resume_offset = reader->position();
  if (!result_.error.status.ok()) co_return;

  if (!result_.torn.ok()) {
    result_.torn_at = reader->position();
    if (reader->position() == first) FailFile(result_.torn, "read the first record");
  } else if (reader->position() == first) {
    result_.empty = true;
  }
}

std::optional<Record> CaptureFileUpload::NextRecord(Reader& reader) {
  const uint64_t begin = reader.position();
  if (damaged_.has_value() && begin == damaged_->frame.offset) {
    result_.torn = capture_file::UnparsableRecord(*damaged_);
    return std::nullopt;
  }
  auto record = reader.Next();
  if (!record.ok()) {
    FailFile(record.status(), "read");
    return std::nullopt;
  }
  if (!record->has_value()) {
    result_.torn = reader.torn();
    return std::nullopt;
  }
  if (((*record)->payload_kind == Record::Payload::kBinary) != binary()) {
    result_.torn = absl::DataLossError(
        absl::StrCat("at byte ", begin, ": sensor readings types don't match upload metadata"));
    reader.Seek(begin);
    return std::nullopt;
  }
  return *record;
}

Task<bool> CaptureFileUpload::SendNext(Reader& reader) {
  const uint64_t begin = reader.position();
  std::optional<Record> record = NextRecord(reader);
  if (!record.has_value()) co_return false;
  // The key is the same for both ways.
  const bool streamed =
      binary() &&
      (record->payload.size > std::min(kUnaryPayloadBytes, context_.calls.Sizes().request) ||
       record->frame.size > kRequestBytes ||
       RequestBytes(1, record->frame.size) > MostRequestBytes());
  const Record first = *record;
  std::vector<uint32_t> frames;
  uint64_t end = begin;
  while (!streamed && record.has_value()) {
    const uint64_t size = RequestBytes(frames.size() + 1, record->frame.end() - begin);
    if (!frames.empty() && size > MostRequestBytes()) {
      reader.Seek(end);
      break;
    }
    end = record->frame.end();
    frames.push_back(static_cast<uint32_t>(record->frame.size));
    if (binary()) break;
    record = NextRecord(reader);
  }
  if (!result_.error.status.ok()) co_return false;
  if (absl::Status status = file_.CheckContents(); !status.ok()) co_return FailFile(status, "read");
  bool sent = false;
  if (streamed) {
    sent = co_await SendStream(first);
  } else {
    sent = co_await SendUnary(reader, begin, frames);
  }
  if (sent) co_return true;
  const bool splits = !streamed && MayBeSplit();
  if (!splits && !FoundDamage(reader, begin, reader.position())) co_return false;
  result_.error = {};
  reader.Seek(begin);
  co_return true;
}

bool CaptureFileUpload::FoundDamage(Reader& reader, uint64_t begin, uint64_t end) {
  const UploadError& error = result_.error;
  if (error.origin != ErrorOrigin::kServer || !error.sent || error.stopped) return false;
  const absl::StatusCode code = error.status.code();
  if (code != absl::StatusCode::kInternal && code != absl::StatusCode::kUnknown &&
      code != absl::StatusCode::kInvalidArgument) {
    return false;
  }
  reader.Seek(begin);
  while (reader.position() < end) {
    const auto record = reader.Next();
    // What cannot be read now is for the next try to find out.
    if (!record.ok() || !record->has_value()) return false;
    const absl::StatusOr<bool> parses = capture_file::Parses(reader, **record);
    if (!parses.ok()) return false;
    if (*parses) continue;
    damaged_ = **record;
    return true;
  }
  return false;
}

Task<bool> CaptureFileUpload::SendUnary(Reader& reader, uint64_t begin,
                                        const std::vector<uint32_t>& frames) {
  const uint64_t size = SizeOf(frames);
  const uint64_t request_bytes = RequestBytes(frames.size(), size);
  if (absl::Status fits = context_.message_limit.Check(request_bytes); !fits.ok()) {
    co_return Fail({.status = std::move(fits)}, "DataCaptureUpload");
  }
  std::string request;
  request.reserve(request_bytes);
  request = request_head_;
  if (absl::Status status = AppendFrames(reader, begin, frames, request); !status.ok()) {
    co_return FailFile(status, "read");
  }
  CallOptions options = Options(begin, begin + size);
  options.timeout =
      options.reply_timeout + std::chrono::milliseconds(request.size() / kSlowestBytesPerMs);
  CallResult call = co_await AwaitUnary(context_.calls, UploadMethod::kDataCaptureUpload,
                                        std::move(request), std::move(options));
  result_.error.sent = call.sent;
  if (call.status.ok()) co_return true;
  UploadError error{.status = std::move(call.status),
                    .channel_ready = call.channel_ready,
                    .stopped = context_.stop.stop_requested(),
                    .sent = call.sent,
                    .stalled = call.stalled,
                    .pushback = call.pushback};
  co_return Fail(std::move(error), "DataCaptureUpload");
}

Task<bool> CaptureFileUpload::SendStream(const Record& record) {
  if (record.metadata.size > kMaxSensorMetadataBytes) {
    co_return FailFile(absl::DataLossError("a record's metadata is too large to be streamed"),
                       "read");
  }
  std::string sensor_metadata(record.metadata.size, '\0');
  absl::Status status =
      file_.Read(record.metadata.offset, sensor_metadata.size(), sensor_metadata.data());
  if (!status.ok()) co_return FailFile(status, "read");
  // DataCaptureUploadMetadata: upload_metadata, sensor_metadata.
  std::string inner;
  AppendField(1, metadata_bytes_, inner);
  AppendField(2, sensor_metadata, inner);
  std::string first;
  AppendField(kPacketMetadata, inner, first);

  const absl::StatusOr<std::string> digest =
      co_await DigestOf(file_, record.payload, context_.calls, context_.stop, context_.digests);
  if (!digest.ok()) co_return FailFile(digest.status(), "read");
  CallOptions options = Options(record.frame.offset, record.frame.end());
  options.content_sha256 = ToHex(*digest);
  StreamedUpload upload(context_, file_, UploadMethod::kStreamingDataCaptureUpload,
                        std::move(options));
  const StreamedUpload::FrameHead frame_head = [](uint64_t size, std::string& message) {
    AppendFieldHead(kPacketData, size, message);
  };
  UploadError error = co_await upload.Send(first, record.payload, frame_head);
  result_.error.sent = error.sent;
  if (error.status.ok()) co_return true;
  co_return Fail(std::move(error), "StreamingDataCaptureUpload");
}

}  // namespace

Task<UploadResult> UploadCaptureFile(const UploadContext& context, const LocalFile& file,
                                     uint64_t resume_offset) {
  CaptureFileUpload upload(context, file);
  co_return co_await upload.Run(resume_offset);
}

}  // namespace datamanager::sync
