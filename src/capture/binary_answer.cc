#include "capture/binary_answer.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/audio.h"
#include "capture/collector_metadata.h"
#include "capture/image_header.h"
#include "capture/message_view.h"
#include "capture_file/format.h"

namespace datamanager::capture {
namespace {

constexpr std::string_view kPcd = "pointcloud/pcd";

// A picture, whoever made it.
struct Picture {
  std::string_view source_name;
  std::string_view mime_type;
  std::string_view data;
  Annotations annotations;
};

std::string_view MimeTypeOf(const Picture& picture) {
  if (!picture.mime_type.empty()) return picture.mime_type;
  const std::optional<ImageHeader> header = ReadImageHeader(picture.data);
  return header.has_value() ? header->mime_type : std::string_view();
}

void AddRecord(Picture&& picture, BinaryAnswer& out) {
  const std::string_view mime_type = MimeTypeOf(picture);
  out.records.push_back({picture.data, mime_type, std::move(picture.annotations)});
}

bool IsWanted(const Picture& picture, const ValueMap& params) {
  const Value* names = params.Find("filter_source_names");
  return names == nullptr || names->AsList().empty() ||
         std::any_of(names->AsList().begin(), names->AsList().end(),
                     [&](const Value& name) { return name.AsString() == picture.source_name; });
}

absl::Status ReadPictures(const Method& method, const ValueMap& params,
                          std::vector<Picture>&& pictures, BinaryAnswer& out) {
  if (method.rule == PayloadRule::kEveryImage) {
    for (Picture& picture : pictures) {
      if (!IsWanted(picture, params)) continue;
      picture.annotations.classifications.push_back({.label = std::string(picture.source_name)});
      AddRecord(std::move(picture), out);
    }
    return absl::OkStatus();
  }
  if (pictures.empty()) return absl::InternalError("no images returned from camera");
  const Value* wanted = params.Find("mime_type");
  const std::string_view mime_type = wanted == nullptr ? "image/jpeg" : wanted->AsString();
  const auto match = std::find_if(pictures.begin(), pictures.end(), [&](const Picture& picture) {
    return MimeTypeOf(picture) == mime_type;
  });
  AddRecord(std::move(match == pictures.end() ? pictures.front() : *match), out);
  return absl::OkStatus();
}

std::optional<double> ConfidenceOf(const MessageView& annotation) {
  if (!annotation.Has("confidence")) return std::nullopt;
  return annotation.Double("confidence");
}

Annotations AnnotationsOf(const MessageView& message) {
  Annotations annotations;
  for (int i = 0; i < message.Size("bboxes"); ++i) {
    const MessageView box = message.At("bboxes", i);
    annotations.bboxes.push_back({.id = std::string(box.Text("id")),
                                  .label = std::string(box.Text("label")),
                                  .x_min = box.Double("x_min_normalized"),
                                  .y_min = box.Double("y_min_normalized"),
                                  .x_max = box.Double("x_max_normalized"),
                                  .y_max = box.Double("y_max_normalized"),
                                  .confidence = ConfidenceOf(box)});
  }
  for (int i = 0; i < message.Size("classifications"); ++i) {
    const MessageView classification = message.At("classifications", i);
    annotations.classifications.push_back({.label = std::string(classification.Text("label")),
                                           .confidence = ConfidenceOf(classification),
                                           .id = std::string(classification.Text("id"))});
  }
  return annotations;
}

Picture PictureOf(const MessageView& image) {
  return {.source_name = image.Text("source_name"),
          .mime_type = image.Text("mime_type"),
          .data = image.Text("image"),
          .annotations = AnnotationsOf(image.Message("annotations"))};
}

// Empty if the camera does not say, which components written in Go do with the year 1.
absl::Status ReadCapturedAt(const MessageView& response, std::optional<WallTime>& out) {
  const MessageView metadata = response.Message("response_metadata");
  if (!metadata.Has("captured_at")) return absl::OkStatus();
  const MessageView stamp = metadata.Message("captured_at");
  const int64_t seconds = stamp.Int64("seconds");
  const int32_t nanos = stamp.Int32("nanos");
  constexpr int64_t kYearOne = -62135596800;
  if (seconds == kYearOne && nanos == 0) return absl::OkStatus();
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / 1000000000 - 1;
  if (seconds < -kMaxSeconds || seconds > kMaxSeconds || nanos < 0 || nanos > 999999999) {
    return absl::InvalidArgumentError(
        absl::StrCat("captured_at is no time: ", seconds, " s and ", nanos, " ns"));
  }
  out = WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
  return absl::OkStatus();
}

absl::Status ReadImages(const Method& method, const ValueMap& params, const MessageView& response,
                        BinaryAnswer& out) {
  if (absl::Status status = ReadCapturedAt(response, out.captured_at); !status.ok()) return status;
  std::vector<Picture> pictures;
  for (int i = 0; i < response.Size("images"); ++i) {
    pictures.push_back(PictureOf(response.At("images", i)));
  }
  return ReadPictures(method, params, std::move(pictures), out);
}

absl::Status ReadPointCloud(const MessageView& response, BinaryAnswer& out) {
  const std::string_view mime_type = response.Text("mime_type");
  if (!mime_type.empty() && mime_type != kPcd) {
    return absl::InvalidArgumentError(absl::StrCat("unknown pc mime type ", ToAbsl(mime_type)));
  }
  out.records.push_back({response.Text("point_cloud"), kPcd});
  return absl::OkStatus();
}

// Checks the size of a payload before it is made.
absl::Status CheckPayload(uint64_t size) {
  if (size <= capture_file::kMaxWrittenBinaryBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a payload of ", size, " bytes is larger than the ",
                   capture_file::kMaxWrittenBinaryBytes, " that a record can have"));
}

absl::Status ReadChunks(const Messages& messages, BinaryAnswer& out) {
  const auto chunk = [&messages](size_t i) {
    return MessageView(messages[i]).Text("point_cloud_pcd_chunk");
  };
  std::string_view data;
  if (messages.size() == 1) {
    data = chunk(0);
  } else {
    uint64_t size = 0;
    for (size_t i = 0; i < messages.size(); ++i) size += chunk(i).size();
    if (absl::Status status = CheckPayload(size); !status.ok()) return status;
    std::string& whole = out.assembled.emplace_back();
    whole.reserve(size);
    for (size_t i = 0; i < messages.size(); ++i) whole += chunk(i);
    data = whole;
  }
  out.records.push_back({data, kPcd});
  return absl::OkStatus();
}

absl::Status ReadAudio(const ValueMap& params, const Messages& messages, BinaryAnswer& out) {
  const Value* asked = params.Find("codec");
  const std::string codec(asked == nullptr ? "pcm16" : asked->AsString());

  std::vector<AudioFormat> formats;  // Of each run.
  std::vector<int64_t> ends;
  if (!messages.empty()) {
    const MessageView last = MessageView(messages[messages.size() - 1]).Message("audio");
    out.audio_end = last.Int64("end_timestamp_nanoseconds");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const MessageView chunk = MessageView(messages[i]).Message("audio");
    if (chunk.Has("audio_info")) {
      const MessageView info = chunk.Message("audio_info");
      AudioFormat format{
          .codec = info.Text("codec").empty() ? codec : std::string(info.Text("codec")),
          .sample_rate_hz = info.Int32("sample_rate_hz"),
          .channels = info.Int32("num_channels")};
      if (formats.empty() || format != formats.back()) {
        out.assembled.emplace_back(AudioHeadBytes(format), '\0');
        formats.push_back(std::move(format));
        ends.push_back(0);
      }
    } else if (formats.empty()) {
      return absl::InvalidArgumentError("the first audio chunk has no audio_info");
    }
    ends.back() = chunk.Int64("end_timestamp_nanoseconds");
    const std::string_view data = chunk.Text("audio_data");
    absl::Status status = CheckPayload(uint64_t{out.assembled.back().size()} + data.size());
    if (!status.ok()) return status;
    out.assembled.back() += data;
  }
  for (size_t i = 0; i < formats.size(); ++i) {
    std::string& audio = out.assembled[i];
    if (audio.size() == AudioHeadBytes(formats[i])) continue;
    if (absl::Status status = FinishAudio(formats[i], audio); !status.ok()) return status;
    out.records.push_back(
        {.data = audio, .mime_type = AudioMimeType(formats[i]), .audio_end = ends[i]});
  }
  return absl::OkStatus();
}

// As the reference's client reads a score.
double ScoreOf(const MessageView& message) {
  const double score = message.Double("confidence");
  if (score < 0) return 0;
  return score > 1 ? score / 100 : score;
}

// The corners are pixels, of a picture whose size is known; else the fractions that came with them.
absl::Status ReadCorners(const MessageView& detection, const std::optional<ImageHeader>& image,
                         BoundingBox& box) {
  const auto has = [&](auto... names) { return (detection.Has(names) && ...); };
  if (image.has_value() && image->width > 0 && image->height > 0 &&
      has("x_min", "y_min", "x_max", "y_max")) {
    const auto width = static_cast<double>(image->width);
    const auto height = static_cast<double>(image->height);
    box.x_min = static_cast<double>(detection.Int64("x_min")) / width;
    box.y_min = static_cast<double>(detection.Int64("y_min")) / height;
    box.x_max = static_cast<double>(detection.Int64("x_max")) / width;
    box.y_max = static_cast<double>(detection.Int64("y_max")) / height;
  } else if (has("x_min_normalized", "y_min_normalized", "x_max_normalized", "y_max_normalized")) {
    box.x_min = detection.Double("x_min_normalized");
    box.y_min = detection.Double("y_min_normalized");
    box.x_max = detection.Double("x_max_normalized");
    box.y_max = detection.Double("y_max_normalized");
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "the box of detection ", ToAbsl(ToJson(Value(box.label))),
        " cannot be told: it needs four corners, and a picture whose size is known for pixels"));
  }
  if (box.x_min > box.x_max) std::swap(box.x_min, box.x_max);
  if (box.y_min > box.y_max) std::swap(box.y_min, box.y_max);
  return absl::OkStatus();
}

absl::Status ReadCaptureAll(const ValueMap& params, const MessageView& response,
                            BinaryAnswer& out) {
  if (!response.Has("image")) {
    return absl::InternalError("vision service didn't return an image");
  }
  Picture picture = PictureOf(response.Message("image"));
  picture.annotations = {};
  const Value* least = params.Find("min_confidence_score");
  const double min_score = least == nullptr ? 0 : least->AsNumber();
  const std::optional<ImageHeader> header = ReadImageHeader(picture.data);
  for (int i = 0; i < response.Size("detections"); ++i) {
    const MessageView detection = response.At("detections", i);
    BoundingBox box{.label = std::string(detection.Text("class_name")),
                    .confidence = ScoreOf(detection)};
    if (!(*box.confidence >= min_score)) continue;
    if (absl::Status status = ReadCorners(detection, header, box); !status.ok()) return status;
    picture.annotations.bboxes.push_back(std::move(box));
  }
  for (int i = 0; i < response.Size("classifications"); ++i) {
    const MessageView classification = response.At("classifications", i);
    const double score = ScoreOf(classification);
    if (!(score >= min_score)) continue;
    picture.annotations.classifications.push_back(
        {.label = std::string(classification.Text("class_name")), .confidence = score});
  }
  AddRecord(std::move(picture), out);
  return absl::OkStatus();
}

// As in the reference, one empty payload voids the answer.
absl::Status CheckRecords(const BinaryAnswer& answer) {
  constexpr std::string_view kContext = "capture result failed validation";
  const auto fault = [&](std::string_view text) {
    return Wrap(absl::InvalidArgumentError(ToAbsl(text)), kContext);
  };
  if (answer.records.empty()) return fault("binary result must have non empty binary data");
  for (const BinaryRecord& record : answer.records) {
    if (absl::Status status = CheckRecord(record); !status.ok()) return Wrap(status, kContext);
  }
  return absl::OkStatus();
}

absl::Status ReadMessages(const Method& method, const ValueMap& params, const Messages& messages,
                          BinaryAnswer& out) {
  switch (method.rule) {
    case PayloadRule::kPointCloud:
      return ReadPointCloud(MessageView(messages[0]), out);
    case PayloadRule::kChunks:
      return ReadChunks(messages, out);
    case PayloadRule::kAudio:
      return ReadAudio(params, messages, out);
    case PayloadRule::kEveryImage:
    case PayloadRule::kOneImage:
      return ReadImages(method, params, MessageView(messages[0]), out);
    case PayloadRule::kCaptureAll:
      return ReadCaptureAll(params, MessageView(messages[0]), out);
    default:
      return absl::InternalError(absl::StrCat(ToAbsl(method.name), " is not binary"));
  }
}

}  // namespace

absl::Status CheckRecord(const BinaryRecord& record) {
  const auto fault = [](const auto&... text) {
    return absl::InvalidArgumentError(absl::StrCat(text...));
  };
  if (record.data.empty()) return fault("binary results can't have empty binary payload");
  if (absl::Status status = CheckPayload(record.data.size()); !status.ok()) return status;
  if (record.mime_type.size() > kMaxMimeTypeBytes) {
    return fault("the mime_type has ", record.mime_type.size(), " bytes, more than ",
                 kMaxMimeTypeBytes);
  }
  if (!IsUtf8(record.mime_type)) return fault("the mime_type is not UTF-8");
  for (const BoundingBox& box : record.annotations.bboxes) {
    if (!IsUtf8(box.label) || !IsUtf8(box.id)) return fault("the label of a box is not UTF-8");
  }
  for (const Classification& classification : record.annotations.classifications) {
    if (!IsUtf8(classification.label) || !IsUtf8(classification.id)) {
      return fault("the label of a classification, or a source_name, is not UTF-8");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadBinaryAnswer(const Method& method, const ValueMap& params, const Images& images,
                              BinaryAnswer& out) {
  out.captured_at = images.captured_at();
  std::vector<Picture> pictures;
  for (const Image& image : images) {
    pictures.push_back({image.source_name, image.mime_type, image.data, image.annotations});
  }
  absl::Status status = ReadPictures(method, params, std::move(pictures), out);
  return status.ok() ? CheckRecords(out) : status;
}

absl::Status ReadBinaryAnswer(const Method& method, const ValueMap& params,
                              const Messages& messages, BinaryAnswer& out) {
  absl::Status status = ReadMessages(method, params, messages, out);
  return status.ok() ? CheckRecords(out) : status;
}

}  // namespace datamanager::capture
