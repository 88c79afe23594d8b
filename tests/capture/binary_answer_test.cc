// What each binary method stores: a response as the component gives it, and the records, both
// written by hand from the specification.
#include "capture/binary_answer.h"

#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/audio.h"
#include "capture/image_header.h"

namespace datamanager::capture {
namespace {

// A picture of 200 x 100 pixels, as far as its header goes.
const std::string kPngHead = std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\xc8\0\0\0\x64", 24);
const char kPngText[] = R"(\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\xc8\0\0\0\x64)";

std::string Text(const Annotations& annotations) {
  std::string text;
  const auto confidence = [](const std::optional<double>& value) {
    return value.has_value() ? absl::StrCat(" ", *value) : std::string();
  };
  for (const BoundingBox& box : annotations.bboxes) {
    absl::StrAppend(&text, " [", box.label, " ", box.x_min, ",", box.y_min, " ", box.x_max, ",",
                    box.y_max, confidence(box.confidence), "]");
  }
  for (const Classification& classification : annotations.classifications) {
    absl::StrAppend(&text, " {", classification.label, confidence(classification.confidence), "}");
  }
  return text;
}

class BinaryAnswerTest : public ::testing::Test {
 protected:
  void Method(const std::string& api, const std::string& name) {
    method_ = *FindMethod("rdk:" + api, name);
    ASSERT_TRUE(method_->binary());
  }
  void Param(const std::string& key, Value value) {
    params_.Set(key, std::move(value));
    ASSERT_TRUE(CheckParameters(*method_, params_).ok());
  }
  // Of messages in Protobuf's text format.
  absl::Status Read(const std::vector<std::string>& responses) {
    messages_ = std::make_unique<Messages>(
        [this] { return std::shared_ptr<google::protobuf::Message>(method_->response().New()); });
    for (const std::string& response : responses) {
      EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(response, &messages_->Add()))
          << response;
    }
    answer_ = {};
    return ReadBinaryAnswer(*method_, params_, *messages_, answer_);
  }
  // "<MIME type> <payload> [box]... {classification}..." of each record, or the error.
  std::vector<std::string> Records(const std::vector<std::string>& responses) {
    const absl::Status status = Read(responses);
    if (!status.ok()) return {std::string(status.message())};
    std::vector<std::string> records;
    for (const BinaryRecord& record : answer_.records) {
      records.push_back(absl::StrCat(std::string(record.mime_type), " ", std::string(record.data),
                                     Text(record.annotations)));
    }
    return records;
  }
  using List = std::vector<std::string>;

  const capture::Method* method_ = nullptr;
  ValueMap params_;
  std::unique_ptr<Messages> messages_;
  BinaryAnswer answer_;
};

TEST_F(BinaryAnswerTest, NextPointCloudIsStoredAsSent) {
  Method("component:camera", "NextPointCloud");
  EXPECT_EQ(Records({R"(mime_type: "pointcloud/pcd" point_cloud: "VERSION .7\nany bytes")"}),
            List{"pointcloud/pcd VERSION .7\nany bytes"});
  EXPECT_EQ(Records({R"(point_cloud: "P")"}), List{"pointcloud/pcd P"});
  EXPECT_EQ(Records({R"(mime_type: "image/png" point_cloud: "P")"}),
            List{"unknown pc mime type image/png"});
  EXPECT_EQ(Records({""}),
            List{"capture result failed validation: binary results can't have empty binary "
                 "payload"});
  EXPECT_FALSE(answer_.captured_at.has_value());
}

TEST_F(BinaryAnswerTest, PointCloudMapIsItsChunksInOrder) {
  Method("service:slam", "PointCloudMap");
  EXPECT_EQ(Records({R"(point_cloud_pcd_chunk: "one")"}), List{"pointcloud/pcd one"});
  EXPECT_EQ(Records({R"(point_cloud_pcd_chunk: "one")", "", R"(point_cloud_pcd_chunk: "two")"}),
            List{"pointcloud/pcd onetwo"});
  for (const List& nothing : {List{}, List{""}, List{"", ""}}) {
    EXPECT_EQ(Records(nothing),
              List{"capture result failed validation: binary results can't have empty binary "
                   "payload"});
  }
}

constexpr char kImages[] = R"(
  images {source_name: "left" mime_type: "image/png" image: "L"
          annotations {bboxes {label: "cat" x_min_normalized: 0.1 x_max_normalized: 0.5
                               y_max_normalized: 1 confidence: 0}
                       classifications {label: "day" confidence: 0.9}}}
  images {source_name: "" mime_type: "image/jpeg" image: "R"}
)";

TEST_F(BinaryAnswerTest, GetImagesIsARecordForEach) {
  Method("component:camera", "GetImages");
  EXPECT_EQ(Records({kImages}),
            (List{"image/png L [cat 0.1,0 0.5,1 0] {day 0.9} {left}", "image/jpeg R {}"}));
  EXPECT_EQ(Records({""}), List{"capture result failed validation: binary result must have non "
                                "empty binary data"});
  EXPECT_EQ(Records({R"(images {image: "a"} images {source_name: "empty"})"}),
            List{"capture result failed validation: binary results can't have empty binary "
                 "payload"});
  ValueList names;
  names.Append("left");
  names.Append("other");
  Param("filter_source_names", names);
  EXPECT_EQ(Records({kImages}), List{"image/png L [cat 0.1,0 0.5,1 0] {day 0.9} {left}"});
}

TEST_F(BinaryAnswerTest, ReadImageIsTheFirstOfTheTypeElseTheFirst) {
  Method("component:camera", "ReadImage");
  EXPECT_EQ(Records({kImages}), List{"image/jpeg R"});
  Param("mime_type", "image/png");
  EXPECT_EQ(Records({kImages}), List{"image/png L [cat 0.1,0 0.5,1 0] {day 0.9}"});
  Param("mime_type", "image/qoi");
  EXPECT_EQ(Records({kImages}), List{"image/png L [cat 0.1,0 0.5,1 0] {day 0.9}"});
  EXPECT_EQ(Records({""}), List{"no images returned from camera"});
}

TEST_F(BinaryAnswerTest, AnEmptyMimeTypeIsToldFromThePicture) {
  Method("component:camera", "GetImages");
  EXPECT_EQ(Records({absl::StrCat("images {image: \"", kPngText, "\"}")}),
            List{"image/png " + kPngHead + " {}"});
  EXPECT_EQ(Records({R"(images {image: "no picture"})"}), List{" no picture {}"});
}

TEST_F(BinaryAnswerTest, ImagesSayWhenTheyWereTaken) {
  Method("component:camera", "GetImages");
  const auto captured_at = [this](const std::string& metadata) {
    const absl::Status status = Read({absl::StrCat("images {image: \"x\"} ", metadata)});
    return status.ok() ? absl::StrCat(answer_.captured_at.has_value()
                                          ? answer_.captured_at->time_since_epoch().count()
                                          : -1)
                       : std::string(status.message());
  };
  EXPECT_EQ(captured_at(""), "-1");
  EXPECT_EQ(captured_at("response_metadata {}"), "-1");
  EXPECT_EQ(captured_at("response_metadata {captured_at {}}"), "0");
  EXPECT_EQ(captured_at("response_metadata {captured_at {seconds: 1767341045 nanos: 123456789}}"),
            "1767341045123456789");
  EXPECT_EQ(captured_at("response_metadata {captured_at {seconds: -62135596800}}"), "-1")
      << "the zero time of a component written in Go";
  EXPECT_EQ(captured_at("response_metadata {captured_at {seconds: 5 nanos: 1000000000}}"),
            "captured_at is no time: 5 s and 1000000000 ns");
  EXPECT_EQ(captured_at("response_metadata {captured_at {seconds: 9223372036854775807}}"),
            "captured_at is no time: 9223372036854775807 s and 0 ns");
}

TEST_F(BinaryAnswerTest, TextThatIsNotUtf8IsRefused) {
  Method("component:camera", "GetImages");
  const std::vector<std::function<void(Image&)>> faults = {
      [](Image& image) { image.mime_type = "\xff"; },
      [](Image& image) { image.source_name = "\xff"; },
      [](Image& image) { image.annotations.bboxes.push_back({.label = "\xff"}); },
      [](Image& image) { image.annotations.classifications.push_back({.id = "\xff"}); },
  };
  for (const auto& fault : faults) {
    Images images;
    Image& image = images.Add();
    image.data = "x";
    BinaryAnswer fine;
    EXPECT_TRUE(ReadBinaryAnswer(*method_, params_, images, fine).ok());
    fault(image);
    BinaryAnswer answer;
    const absl::Status status = ReadBinaryAnswer(*method_, params_, images, answer);
    EXPECT_NE(status.message().find("is not UTF-8"), std::string::npos) << status;
  }
}

// CaptureAllFromCamera.

class CaptureAllTest : public BinaryAnswerTest {
 protected:
  CaptureAllTest() {
    Method("service:vision", "CaptureAllFromCamera");
    Param("camera_name", "cam");
  }
  // Of a picture of 200 x 100 pixels: what is found in it, or the error.
  std::string Found(const std::string& results) {
    const std::vector<std::string> records = Records(
        {absl::StrCat("image {source_name: \"cam\" mime_type: \"image/png\" image: \"", kPngText,
                      "\" annotations {classifications {label: \"of the camera\"}}} ", results)});
    const std::string picture = "image/png " + kPngHead;
    EXPECT_EQ(records.size(), 1U);
    return records[0].substr(0, picture.size()) == picture ? records[0].substr(picture.size())
                                                           : records[0];
  }
};

TEST_F(CaptureAllTest, BoxesAreFractionsOfThePicture) {
  EXPECT_EQ(Found(""), "");
  EXPECT_EQ(Found(R"(detections {x_min: 20 y_min: 10 x_max: 100 y_max: 100 confidence: 0.5
                                 class_name: "cat" x_min_normalized: 0.9})"),
            " [cat 0.1,0.1 0.5,1 0.5]");
  EXPECT_EQ(Found(R"(detections {x_min: 100 y_min: 100 x_max: 20 y_max: 10})"),
            " [ 0.1,0.1 0.5,1 0]")
      << "swapped; a confidence of 0 is one too";
  EXPECT_EQ(Found(R"(detections {x_min: 0 y_min: 0 x_max: 0 y_max: 0 class_name: "a"}
                     detections {x_min: -20 y_min: 0 x_max: 400 y_max: 0 class_name: "b"}
                     classifications {class_name: "day" confidence: 0.75}
                     classifications {})"),
            " [a 0,0 0,0 0] [b -0.1,0 2,0 0] {day 0.75} { 0}");
}

TEST_F(CaptureAllTest, FractionsThatWereSentCountWherePixelsDoNotTell) {
  const std::string fractions = R"(x_min_normalized: 0.1 y_min_normalized: 0.2
                                   x_max_normalized: 0.3 y_max_normalized: 0.4)";
  EXPECT_EQ(Found("detections {class_name: \"cat\" x_min: 5 " + fractions + "}"),
            " [cat 0.1,0.2 0.3,0.4 0]");
  EXPECT_EQ(Records({"image {image: \"no header\" mime_type: \"image/webp\"} "
                     "detections {x_min: 0 y_min: 0 x_max: 0 y_max: 0 " +
                     fractions + "}"}),
            List{"image/webp no header [ 0.1,0.2 0.3,0.4 0]"});
  EXPECT_NE(Found(R"(detections {class_name: "cat" x_min: 5 y_min: 1 x_max: 7})")
                .find("the box of detection \"cat\" cannot be told"),
            std::string::npos);
}

TEST_F(CaptureAllTest, ScoresBelowTheLeastAreLeftOut) {
  const std::string results = R"(
    detections {x_min: 0 y_min: 0 x_max: 0 y_max: 0 class_name: "at" confidence: 0.5}
    detections {class_name: "below, without corners" confidence: 0.49}
    detections {class_name: "nan" confidence: nan}
    classifications {class_name: "percent" confidence: 80}
    classifications {class_name: "below" confidence: 40}
    classifications {class_name: "negative" confidence: -3})";
  EXPECT_EQ(Found("classifications {class_name: \"negative\" confidence: -3}"), " {negative 0}");
  Param("min_confidence_score", 0.5);
  EXPECT_EQ(Found(results), " [at 0,0 0,0 0.5] {percent 0.8}");
}

TEST_F(CaptureAllTest, NeedsAPicture) {
  EXPECT_EQ(Records({R"(classifications {class_name: "day"})"}),
            List{"vision service didn't return an image"});
  EXPECT_EQ(Records({"image {}"}), List{"capture result failed validation: binary results can't "
                                        "have empty binary payload"});
}

// GetAudio.

class GetAudioTest : public BinaryAnswerTest {
 protected:
  GetAudioTest() { Method("component:audio_in", "GetAudio"); }
  static std::string Chunk(const std::string& data, const std::string& info, int end = 0) {
    return absl::StrCat("audio {audio_data: \"", data, "\" ",
                        info.empty() ? "" : "audio_info {" + info + "}",
                        " end_timestamp_nanoseconds: ", end, "}");
  }
  const std::string stereo_ = "sample_rate_hz: 44100 num_channels: 2";
  const std::string mono_ = "sample_rate_hz: 16000 num_channels: 1";
};

TEST_F(GetAudioTest, PcmBecomesWav) {
  const std::string wav = std::string(
      "RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data\x08"
      "\0\0\0abcdefgh",
      52);
  EXPECT_EQ(Records({Chunk("abcd", stereo_, 5), Chunk("efgh", "", 9)}), List{"audio/wav " + wav});
  EXPECT_EQ(answer_.audio_end, 9);
  Param("codec", "pcm32_float");
  const std::string of_floats = std::string(
      "RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x80\x3e\0\0\0\xfa\0\0\x04\0\x20\0data\x04"
      "\0\0\0abcd",
      48);
  EXPECT_EQ(Records({Chunk("abcd", mono_)}), List{"audio/wav " + of_floats});
  Param("codec", "pcm32");
  std::string of_integers = of_floats;
  of_integers[20] = 1;
  EXPECT_EQ(Records({Chunk("abcd", mono_)}), List{"audio/wav " + of_integers});
}

TEST_F(GetAudioTest, OtherCodecsStayAsTheyAre) {
  Param("codec", "mp3");
  EXPECT_EQ(Records({Chunk("ab", mono_), Chunk("cd", mono_)}), List{"audio/mpeg abcd"});
  for (const char* codec : {"opus", "aac", "flac", "unheard of"}) {
    Param("codec", codec);
    EXPECT_EQ(Records({Chunk("ab", mono_)}), List{"application/octet-stream ab"});
  }
}

TEST_F(GetAudioTest, AnotherFormatBeginsAnotherRecord) {
  Param("codec", "mp3");
  EXPECT_EQ(Records({Chunk("a", mono_), Chunk("b", ""), Chunk("c", stereo_), Chunk("d", mono_),
                     Chunk("e", "codec: \"opus\" " + mono_)}),
            (List{"audio/mpeg ab", "audio/mpeg c", "audio/mpeg d", "application/octet-stream e"}));
}

TEST_F(GetAudioTest, RefusesWhatIsNoAudio) {
  const List nothing = {
      "capture result failed validation: binary result must have non empty binary data"};
  EXPECT_EQ(Records({}), nothing);
  EXPECT_EQ(Records({Chunk("", mono_, 7)}), nothing);
  EXPECT_EQ(answer_.audio_end, 7) << "the next tick goes on from there";
  EXPECT_EQ(Records({Chunk("a", "")}), List{"the first audio chunk has no audio_info"});
  EXPECT_EQ(Records({""}), List{"the first audio chunk has no audio_info"});
  EXPECT_EQ(Records({Chunk("ab", "sample_rate_hz: 0 num_channels: 1")}),
            List{"no WAV file can have 0 Hz, 1 channels and 2 bytes"});
  EXPECT_EQ(Records({Chunk("ab", "sample_rate_hz: 8000 num_channels: 65536")}),
            List{"no WAV file can have 8000 Hz, 65536 channels and 2 bytes"});
}

// Headers of pictures.

std::string Header(const std::string& image) {
  const std::optional<ImageHeader> header = ReadImageHeader(image);
  return header.has_value()
             ? absl::StrCat(std::string(header->mime_type), " ", header->width, "x", header->height)
             : "none";
}

TEST(ImageHeaderTest, TellsTypeAndSize) {
  EXPECT_EQ(Header(kPngHead), "image/png 200x100");
  const std::string jpeg = std::string(
      "\xff\xd8\xff\xe0\0\x04zz\xff\xff\xc4\0\x03z\xff\xc2\0\x0b\x08\0\x64\x01\x2c\x03", 24);
  EXPECT_EQ(Header(jpeg), "image/jpeg 300x100");
  EXPECT_EQ(Header("GIF89a" + std::string("\x2c\x01\x64\0", 4)), "image/gif 300x100");
  EXPECT_EQ(Header("BM" + std::string(16, '\0') + std::string("\x2c\x01\0\0\x9c\xff\xff\xff", 8)),
            "image/bmp 300x100");
  EXPECT_EQ(Header("qoif" + std::string("\0\0\x01\x2c\0\0\0\x64\x03\0", 10)), "image/qoi 300x100");
  EXPECT_EQ(Header("RGBA" + std::string("\0\0\x01\x2c\0\0\0\x64", 8)),
            "image/vnd.viam.rgba 300x100");
  EXPECT_EQ(Header("DEPTHMAP" + std::string("\0\0\0\0\0\0\x01\x2c\0\0\0\0\0\0\0\x64", 16)),
            "image/vnd.viam.dep 300x100");
  EXPECT_EQ(Header("text"), "none");
  EXPECT_EQ(Header(""), "none");
}

TEST(ImageHeaderTest, ReadsNothingBeyondTheEnd) {
  const std::string jpeg =
      std::string("\xff\xd8\xff\xe0\0\x04zz\xff\xc0\0\x0b\x08\0\x64\x01\x2c", 17);
  EXPECT_EQ(Header(jpeg), "image/jpeg 300x100");
  for (size_t size = 0; size < jpeg.size(); ++size) {
    // Of its own length on the heap, so that AddressSanitizer sees its end.
    const std::vector<char> cut(jpeg.begin(), jpeg.begin() + static_cast<int64_t>(size));
    const auto header = ReadImageHeader({cut.data(), cut.size()});
    EXPECT_EQ(header.has_value(), size >= 3) << size;
    EXPECT_EQ(header.value_or(ImageHeader{}).width, 0U);
  }
  EXPECT_EQ(Header("\xff\xd8\xff\xda etc."), "image/jpeg 0x0");
  EXPECT_EQ(Header(kPngHead.substr(0, 23)), "none");
}

}  // namespace
}  // namespace datamanager::capture
