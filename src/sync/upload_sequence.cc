#include <chrono>
#include <string>
#include <utility>

#include "capture_file/sequence.h"
#include "datamanager/wire/viam/app/data/v1/data.pb.h"
#include "sync/await_call.h"
#include "sync/content_digest.h"
#include "sync/upload_key.h"
#include "sync/uploads.h"

namespace datamanager::sync {
namespace {

namespace data = datamanager::wire::viam::app::data::v1;

void SetInstant(WallTime time, google::protobuf::Timestamp& out) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<int32_t>(std::chrono::nanoseconds(since - seconds).count()));
}

std::string RequestOf(const capture_file::Sequence& sequence, const std::string& part_id) {
  data::CreateSequenceRequest request;
  request.set_part_id(part_id);
  for (const capture_file::SequenceResource& resource : sequence.resources) {
    data::SequenceResourceFilter& filter = *request.add_resources();
    filter.set_resource_name(resource.name);
    filter.set_method_name(resource.method);
  }
  for (const std::string& tag : sequence.tags) request.add_sequence_tags(tag);
  SetInstant(sequence.start, *request.mutable_start_time());
  SetInstant(*sequence.end, *request.mutable_end_time());
  return request.SerializeAsString();
}

}  // namespace

Task<UploadResult> UploadSequence(const UploadContext& context, const LocalFile& file) {
  UploadResult result{.step = "CreateSequence", .kind = DataKind::kSequence};
  const auto fail = [&result](absl::Status status) {
    result.error = {.status = std::move(status), .origin = ErrorOrigin::kFile};
    return result;
  };
  absl::StatusOr<capture_file::Sequence> sequence =
      capture_file::ReadSequence(file.ops(), file.fd(), file.size());
  if (!sequence.ok()) co_return fail(sequence.status());
  if (!sequence->end.has_value())
    co_return fail(absl::DataLossError("is no sequence that has ended"));
  const capture_file::Extent all{.offset = 0, .size = file.size()};
  const absl::StatusOr<std::string> digest =
      co_await DigestOf(file, all, context.calls, context.stop, nullptr);
  if (!digest.ok()) co_return fail(digest.status());
  const UploadKeys keys(context.part_id, FileKind::kSequence, *digest);
  result.key = keys.ForRange(0, file.size());
  if (context.is_stored && context.is_stored(result.key)) co_return result;
  CallOptions options{.connection = context.connection,
                      .upload_key = result.key,
                      .timeout = context.reply_timeout,
                      .reply_timeout = context.reply_timeout,
                      .stop = context.stop};
  CallResult call = co_await AwaitUnary(context.calls, UploadMethod::kCreateSequence,
                                        RequestOf(*sequence, context.part_id), std::move(options));
  result.error = {.status = std::move(call.status),
                  .channel_ready = call.channel_ready,
                  .stopped = context.stop.stop_requested(),
                  .sent = call.sent,
                  .stalled = call.stalled,
                  .pushback = call.pushback};
  co_return result;
}

}  // namespace datamanager::sync
