#include "datamanager/source.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace datamanager {
namespace {

constexpr const char* kSensor = "rdk:component:sensor";
constexpr const char* kCamera = "rdk:component:camera";

absl::Status Nothing(const CaptureRequest&, Readings&) { return absl::OkStatus(); }
absl::Status NoPictures(const CaptureRequest&, Images&) { return absl::OkStatus(); }

TEST(SourcesTest, FindsWhatWasAdded) {
  Sources sources;
  sources.AddReadings(kSensor, "cpu", Nothing);
  sources.AddImages("cam", NoPictures);
  EXPECT_NE(sources.Find(kSensor, "cpu", "Readings"), nullptr);
  EXPECT_NE(sources.Find(kCamera, "cam", "GetImages"), nullptr);
  EXPECT_NE(sources.Find(kCamera, "cam", "ReadImage"), nullptr);
  EXPECT_EQ(sources.Find(kSensor, "cpu", "GetImages"), nullptr);
  EXPECT_EQ(sources.Find(kSensor, "gpu", "Readings"), nullptr);
  EXPECT_TRUE(sources.Has(kSensor, "cpu"));
  EXPECT_FALSE(sources.Has(kSensor, "cp"));
  EXPECT_FALSE(sources.Has(kCamera, "cpu"));
}

TEST(SourcesTest, ASourceIsTheSameUntilItIsAddedAgain) {
  Sources sources;
  sources.AddReadings(kSensor, "cpu", Nothing);
  const auto first = sources.Find(kSensor, "cpu", "Readings");
  EXPECT_EQ(sources.Find(kSensor, "cpu", "Readings"), first);
  const Sources copy = sources;
  EXPECT_EQ(copy.Find(kSensor, "cpu", "Readings"), first);
  sources.AddReadings(kSensor, "gpu", Nothing);
  EXPECT_EQ(sources.Find(kSensor, "cpu", "Readings"), first);
  sources.AddReadings(kSensor, "cpu", Nothing);
  EXPECT_NE(sources.Find(kSensor, "cpu", "Readings"), first);
  EXPECT_EQ(copy.Find(kSensor, "cpu", "Readings"), first);
}

TEST(SourcesTest, RemovesEveryMethodOfAName) {
  Sources sources;
  sources.AddImages("cam", NoPictures);
  sources.AddImages("other", NoPictures);
  sources.Remove(kCamera, "cam");
  EXPECT_FALSE(sources.Has(kCamera, "cam"));
  EXPECT_EQ(sources.Find(kCamera, "cam", "ReadImage"), nullptr);
  EXPECT_TRUE(sources.Has(kCamera, "other"));
}

TEST(MessagesTest, ReusesItsMessagesAndShowsNothingOfThem) {
  int made = 0;
  Messages messages([&made] {
    ++made;
    return std::make_shared<google::protobuf::StringValue>();
  });
  const auto add = [&] { return dynamic_cast<google::protobuf::StringValue*>(&messages.Add()); };
  google::protobuf::StringValue* const first = add();
  first->set_value("one");
  google::protobuf::StringValue* const second = add();
  EXPECT_EQ(messages.size(), 2U);
  EXPECT_EQ(first->value(), "one") << "stays where it is";
  messages.Clear();
  EXPECT_TRUE(messages.empty());
  EXPECT_EQ(add(), first);
  EXPECT_EQ(first->value(), "");
  EXPECT_EQ(add(), second);
  EXPECT_EQ(made, 2);
}

TEST(MessagesTest, TakesAMessageOfItsOwn) {
  Messages messages([] { return std::make_shared<google::protobuf::StringValue>(); });
  const auto value = [](const google::protobuf::Message& message) {
    return static_cast<const google::protobuf::StringValue&>(message).value();
  };
  static_cast<google::protobuf::StringValue&>(messages.Add()).set_value("first");
  for (int i = 0; i < 100; ++i) messages.Add().CopyFrom(messages[0]);
  for (size_t i = 0; i < messages.size(); ++i) EXPECT_EQ(value(messages[i]), "first");

  Messages copy = messages;
  messages.Clear();
  static_cast<google::protobuf::StringValue&>(messages.Add()).set_value("changed");
  EXPECT_EQ(value(copy[0]), "first");
  const Messages taken = std::move(copy);
  EXPECT_EQ(taken.size(), 101U);
  EXPECT_TRUE(copy.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(value(copy.Add()), "");
}

TEST(ImagesTest, TakesAPictureOfItsOwn) {
  Images images;
  const Image first = {.source_name = "l", .mime_type = "image/png", .data = std::string(100, 'x')};
  images.Add() = first;
  for (int i = 0; i < 100; ++i) images.Add() = *images.begin();
  Image& kept = images.Add();
  for (int i = 0; i < 100; ++i) images.Add().data = images.begin()->data;
  kept = first;
  EXPECT_EQ(images.size(), 202U);
  for (const Image& image : images) EXPECT_EQ(image.data, first.data);
}

TEST(ImagesTest, IsEmptyOnceMovedFrom) {
  Images images;
  images.Add().data = "a";
  images.SetCapturedAt({});
  Images taken = std::move(images);
  EXPECT_EQ(taken.size(), 1U);
  EXPECT_TRUE(images.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(images.captured_at().has_value());
  images.Add().data = "b";
  taken = std::move(images);
  EXPECT_TRUE(images.empty());  // NOLINT(bugprone-use-after-move)
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken.begin()->data, "b");
  Images& same = taken;
  taken = std::move(same);
  EXPECT_EQ(taken.size(), 1U);
  EXPECT_EQ(images.Add().data, "");
}

TEST(ImagesTest, ReusesItsStorageAndShowsNothingOfIt) {
  Images images;
  Image& image = images.Add();
  image = {.source_name = "left", .mime_type = "image/png", .data = std::string(100, 'x')};
  image.annotations = {.bboxes = {{.label = "cat"}}, .classifications = {{.label = "day"}}};
  images.SetCapturedAt({});
  const char* storage = image.data.data();
  images.Clear();
  EXPECT_TRUE(images.empty());
  EXPECT_EQ(images.begin(), images.end());
  EXPECT_FALSE(images.captured_at().has_value());
  Image& again = images.Add();
  EXPECT_EQ(again.source_name, "");
  EXPECT_EQ(again.mime_type, "");
  EXPECT_EQ(again.data, "");
  EXPECT_TRUE(again.annotations.empty());
  again.data.assign(100, 'y');
  EXPECT_EQ(again.data.data(), storage);
  EXPECT_EQ(images.size(), 1U);
}

}  // namespace
}  // namespace datamanager
