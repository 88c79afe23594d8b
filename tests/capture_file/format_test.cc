#include "capture_file/format.h"

#include <google/protobuf/io/coded_stream.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "capture_file/record_buffer.h"
#include "tests/capture_file/test_records.h"

namespace datamanager::capture_file {
namespace {

using testing::Varint;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

// The value and the bytes read of `text`; {0, -1} if it is no varint.
std::pair<uint64_t, int64_t> Read(const std::string& text) {
  uint64_t value = 0;
  const char* end = ReadVarint(text.data(), text.data() + text.size(), &value);
  return end == nullptr ? std::pair<uint64_t, int64_t>{0, -1}
                        : std::pair<uint64_t, int64_t>{value, end - text.data()};
}

TEST(VarintTest, IsProtobufsVarint) {
  std::vector<uint64_t> values = {0, 1, kMax, kMax - 1};
  for (int bit = 0; bit < 64; ++bit) {
    values.push_back(uint64_t{1} << bit);
    values.push_back((uint64_t{1} << bit) - 1);
  }
  for (const uint64_t value : values) {
    uint8_t expected[10];
    uint8_t* const end =
        google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(value, expected);
    EXPECT_EQ(Varint(value), std::string(expected, end)) << value;
    EXPECT_EQ(Read(Varint(value)), (std::pair<uint64_t, int64_t>{value, end - expected}));
    EXPECT_EQ(Read(Varint(value) + "\x01more").first, value);
  }
}

TEST(VarintTest, ReadsNoVarintThatIsCut) {
  for (const uint64_t value : {uint64_t{128}, uint64_t{1} << 40, kMax}) {
    const std::string text = Varint(value);
    for (size_t size = 0; size < text.size(); ++size) {
      EXPECT_EQ(Read(text.substr(0, size)).second, -1) << value << " cut at " << size;
    }
  }
}

TEST(VarintTest, ReadsNoVarintOfMoreThan64Bits) {
  const std::string nine(9, '\xff');
  EXPECT_EQ(Read(nine + "\x01").first, kMax);
  EXPECT_EQ(Read(nine + "\x02").second, -1);
  EXPECT_EQ(Read(nine + "\x7f").second, -1);
  EXPECT_EQ(Read(nine + "\xff\x01").second, -1);
  EXPECT_EQ(Read(std::string(20, '\x80') + "\x01").second, -1);
}

TEST(VarintTest, ReadsOneThatIsLongerThanItNeedBe) {
  EXPECT_EQ(Read(std::string("\x81\x80\x00", 3)), (std::pair<uint64_t, int64_t>{1, 3}));
}

TEST(RecordBufferTest, PutsTheLengthRightBeforeTheMessage) {
  RecordBuffer buffer;
  EXPECT_EQ(buffer.Frame(), Varint(0));
  for (const size_t size : {0, 1, 127, 128, 16383, 16384, 3}) {
    const std::string message(size, 'm');
    buffer.Clear();
    buffer.PrependBytes(message);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(buffer.message(), message);
    EXPECT_EQ(buffer.Frame(), Varint(size) + message);
    EXPECT_EQ(buffer.Frame(1000), Varint(size + 1000) + message);
    EXPECT_EQ(buffer.Frame(), Varint(size) + message) << "a frame can be taken again";
  }
}

TEST(RecordBufferTest, KeepsWhatIsThereAsItGrows) {
  RecordBuffer buffer;
  std::string expected;
  for (int i = 0; i < 100000; ++i) {
    const char byte = static_cast<char>(i);
    buffer.PrependBytes({&byte, 1});
    expected += byte;
  }
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(buffer.message(), expected);
  EXPECT_EQ(buffer.Frame(), Varint(expected.size()) + expected);
}

TEST(RecordBufferTest, PartsNeedNotFillTheRoomThatTheyAskFor) {
  for (const size_t most : {1, 1000, 5000, 100000}) {
    RecordBuffer buffer;
    std::string expected;
    for (int i = 0; i < 100; ++i) {
      buffer.Prepend(most, [&](BackwardWriter& out) { out.Byte(static_cast<char>(i)); });
      expected.insert(expected.begin(), static_cast<char>(i));
    }
    EXPECT_EQ(buffer.Frame(), Varint(expected.size()) + expected) << most;
  }
}

TEST(RecordBufferTest, WritesFields) {
  RecordBuffer buffer;
  buffer.PrependText(0x12, "text");
  const size_t end = buffer.size();
  buffer.PrependDouble(0x09, 1);
  buffer.PrependVarint(0x08, 300);
  buffer.PrependHead(0x0a, end);
  EXPECT_EQ(buffer.message(),
            std::string("\x0a\x0c\x08\xac\x02\x09\0\0\0\0\0\0\xf0\x3f\x12\x04text", 20));
}

}  // namespace
}  // namespace datamanager::capture_file
