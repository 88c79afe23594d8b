#include "capture_file/reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/worked_example.h"

namespace datamanager::capture_file {
namespace {

using testing::BinaryRecord;
using testing::FaultyFileOps;
using testing::Frame;
using testing::TabularFile;
using testing::TabularRecord;
using testing::TestMetadata;
using testing::Varint;
using testing::wire::SensorData;

// What a reader makes of a file.
struct Content {
  absl::Status status;  // Of Open, or of the Next that failed.
  std::string metadata;
  std::vector<Record> records;
  std::vector<std::string> messages;
  absl::Status torn;
  uint64_t position = 0;
};

class ReaderTest : public ::testing::Test {
 protected:
  Content Read(std::string_view bytes) { return ReadFrom(FileOf(bytes).get(), bytes.size()); }

  // A file in memory.
  static UniqueFd FileOf(std::string_view bytes) {
    UniqueFd fd(::memfd_create("capture file", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return fd;
  }

  Content ReadFrom(int fd, uint64_t size) {
    Content content;
    absl::StatusOr<Reader> reader = Reader::Open(ops_, fd, size);
    content.status = reader.status();
    if (!reader.ok()) return content;
    content.metadata = reader->metadata();
    while (true) {
      absl::StatusOr<std::optional<Record>> record = reader->Next();
      content.status = record.status();
      if (!record.ok() || !record->has_value()) break;
      CheckExtents(**record, size);
      content.records.push_back(**record);
      if ((*record)->message.size <= 1 << 20) {
        content.messages.push_back(Extract(fd, (*record)->message));
      }
    }
    content.torn = reader->torn();
    content.position = reader->position();
    return content;
  }

  static std::string Extract(int fd, Extent extent) {
    std::string text(extent.size, '\0');
    EXPECT_TRUE(ReadExactly(FileOps::System(), fd, static_cast<off_t>(extent.offset), extent.size,
                            text.data())
                    .ok());
    return text;
  }

  static void CheckExtents(const Record& record, uint64_t size) {
    EXPECT_LE(record.frame.end(), size);
    EXPECT_GT(record.message.offset, record.frame.offset);
    EXPECT_EQ(record.message.end(), record.frame.end());
    EXPECT_GE(record.payload.offset, record.message.offset);
    EXPECT_LE(record.payload.end(), record.message.end());
    if (record.metadata.size > 0) {
      EXPECT_GE(record.metadata.offset, record.message.offset);
      EXPECT_LE(record.metadata.end(), record.payload.offset);
    }
  }

  // The numbers of a file of TabularRecords.
  static std::vector<int> Numbers(const Content& content) {
    std::vector<int> numbers;
    for (const std::string& message : content.messages) {
      SensorData data;
      EXPECT_TRUE(data.ParseFromString(message));
      numbers.push_back(static_cast<int>(data.struct_().fields().at("n").number_value()));
    }
    return numbers;
  }

  FaultyFileOps ops_;
};

TEST_F(ReaderTest, ReadsTheWorkedExample) {
  const Content content = Read(testing::kExampleFile);
  ASSERT_TRUE(content.status.ok()) << content.status;
  EXPECT_TRUE(content.torn.ok()) << content.torn;
  EXPECT_EQ(content.position, testing::kExampleFile.size());
  EXPECT_EQ(content.metadata, testing::kExampleMetadata);
  ASSERT_EQ(content.messages.size(), 1U);
  EXPECT_EQ(content.messages[0], testing::kExampleRecord);

  testing::wire::DataCaptureMetadata metadata;
  ASSERT_TRUE(metadata.ParseFromString(content.metadata));
  EXPECT_EQ(metadata.component_type(), "rdk:component:sensor");
  EXPECT_EQ(metadata.component_name(), "s");
  EXPECT_EQ(metadata.method_name(), "Readings");
  EXPECT_EQ(metadata.type(), testing::wire::DATA_TYPE_TABULAR_SENSOR);
  EXPECT_EQ(metadata.file_extension(), ".dat");
  SensorData data;
  ASSERT_TRUE(data.ParseFromString(content.messages[0]));
  EXPECT_TRUE(data.metadata().has_time_requested());
  EXPECT_EQ(data.struct_().fields().at("readings").struct_value().fields().at("a").number_value(),
            1);
}

TEST_F(ReaderTest, FindsThePartsOfARecord) {
  const std::string file =
      Frame(TestMetadata()) + Frame(TabularRecord(7)) + Frame(BinaryRecord(std::string(300, 'b')));
  const Content content = Read(file);
  ASSERT_EQ(content.records.size(), 2U) << content.status << content.torn;
  SensorData data;

  const Record& tabular = content.records[0];
  ASSERT_TRUE(data.ParseFromString(TabularRecord(7)));
  EXPECT_EQ(tabular.payload_kind, Record::Payload::kStruct);
  EXPECT_EQ(file.substr(tabular.payload.offset, tabular.payload.size),
            data.struct_().SerializeAsString());
  EXPECT_EQ(file.substr(tabular.metadata.offset, tabular.metadata.size),
            data.metadata().SerializeAsString());
  EXPECT_EQ(file.substr(tabular.frame.offset, tabular.frame.size), Frame(TabularRecord(7)));

  const Record& binary = content.records[1];
  EXPECT_EQ(binary.payload_kind, Record::Payload::kBinary);
  EXPECT_EQ(file.substr(binary.payload.offset, binary.payload.size), std::string(300, 'b'));
  EXPECT_EQ(binary.frame.offset, tabular.frame.end());
}

TEST_F(ReaderTest, ReadsAFileWithoutRecords) {
  const Content content = Read(Frame(TestMetadata()));
  EXPECT_TRUE(content.status.ok());
  EXPECT_TRUE(content.torn.ok());
  EXPECT_EQ(content.metadata, TestMetadata());
  EXPECT_TRUE(content.records.empty());
  EXPECT_EQ(Read("").status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(ReaderTest, FindsExactlyTheWholeRecordsWhereverTheFileIsCut) {
  const std::string whole = TabularFile(3);
  std::vector<size_t> ends = {Frame(TestMetadata()).size()};
  for (int n = 0; n < 3; ++n) ends.push_back(ends.back() + Frame(TabularRecord(n)).size());
  ASSERT_EQ(ends.back(), whole.size());

  for (size_t size = 0; size <= whole.size(); ++size) {
    const Content content = Read(std::string_view(whole).substr(0, size));
    if (size < ends[0]) {
      EXPECT_EQ(content.status.code(), absl::StatusCode::kDataLoss) << size;
      continue;
    }
    ASSERT_TRUE(content.status.ok()) << size << ": " << content.status;
    size_t records = 0;
    while (records < 3 && ends[records + 1] <= size) ++records;
    EXPECT_EQ(Numbers(content).size(), records) << size;
    EXPECT_EQ(content.position, ends[records]) << size;
    EXPECT_EQ(content.torn.ok(), size == ends[records]) << size << ": " << content.torn;
  }
}

TEST_F(ReaderTest, TakesAZeroFilledTailForNoRecords) {
  const std::string whole = TabularFile(2);
  for (const size_t zeros : {1, 2, 100, 4096, 200000}) {
    const Content content = Read(whole + std::string(zeros, '\0'));
    EXPECT_TRUE(content.status.ok()) << content.status;
    EXPECT_EQ(Numbers(content), (std::vector<int>{0, 1}));
    EXPECT_EQ(content.position, whole.size());
    EXPECT_EQ(content.torn.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(content.torn.message().find("zeros"), std::string::npos) << content.torn;
  }
  EXPECT_TRUE(Read(std::string(4096, '\0')).records.empty());
}

TEST_F(ReaderTest, KeepsAHundredRecordsFromTheGarbageAfterThem) {
  const std::string whole = TabularFile(100);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::string garbage(1 + random() % 500, '\0');
    for (char& c : garbage) c = static_cast<char>(random());
    const Content content = Read(whole + garbage);
    EXPECT_TRUE(content.status.ok()) << content.status;
    EXPECT_EQ(Numbers(content).size(), 100U);
    EXPECT_EQ(content.position, whole.size());
    EXPECT_FALSE(content.torn.ok());
  }
}

TEST_F(ReaderTest, BelievesNoLengthThatTheFileCannotHold) {
  const std::string nine(9, '\xff');
  for (const std::string& length :
       {Varint(1000), Varint(0xffffffff), Varint(uint64_t{1} << 35), Varint(uint64_t{1} << 63),
        Varint(~uint64_t{0}), nine + "\x7f", nine + "\xff\x01", std::string(40, '\xff'),
        std::string(12, '\x80') + "\x01", std::string("\xff")}) {
    const std::string text = length + "abc";
    EXPECT_EQ(Read(text).status.code(), absl::StatusCode::kDataLoss);

    const Content content = Read(TabularFile(1) + text);
    EXPECT_TRUE(content.status.ok()) << content.status;
    EXPECT_EQ(Numbers(content), std::vector<int>{0});
    EXPECT_EQ(content.position, TabularFile(1).size());
    EXPECT_EQ(content.torn.code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(ReaderTest, BoundsTheMetadata) {
  const std::string largest = "\x0a" + Varint((1 << 20) - 4) + std::string((1 << 20) - 4, 'm');
  ASSERT_EQ(largest.size(), kMaxMetadataBytes);
  EXPECT_TRUE(Read(Frame(largest)).status.ok());
  const absl::Status status = Read(Frame(largest + std::string(1, 'm'))).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("1048577"), std::string::npos) << status;
}

TEST_F(ReaderTest, WantsAMessageForMetadata) {
  for (const std::string text : {"\nhello world, this is no capture file", "\x05zzzzzzzzzzz"}) {
    const absl::Status status = Read(text).status;
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  }
}

TEST_F(ReaderTest, BoundsATabularRecordAndNotABinaryOne) {
  constexpr uint64_t kPayload = kMaxTabularRecordBytes + 1000;
  const std::string metadata = Frame(TestMetadata());
  for (const char tag : {'\x12', '\x1a'}) {
    const std::string head = tag + Varint(kPayload);
    const std::string start = metadata + Varint(head.size() + kPayload) + head;
    const uint64_t size = start.size() + kPayload;
    const UniqueFd fd = FileOf(start);
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);  // Zeros.
    const Content content = ReadFrom(fd.get(), size);
    EXPECT_TRUE(content.status.ok()) << content.status;
    if (tag == '\x12') {
      EXPECT_TRUE(content.records.empty());
      EXPECT_NE(content.torn.message().find("larger than any server accepts"), std::string::npos);
    } else {
      ASSERT_EQ(content.records.size(), 1U) << content.torn;
      EXPECT_EQ(content.records[0].payload.size, kPayload);
    }
  }
}

TEST_F(ReaderTest, SkipsTheFieldsThatItDoesNotKnow) {
  std::string message = "\x48\xff\x01";                        // 9, a varint.
  message += "\x51" + std::string(8, 'x');                     // 10, eight bytes.
  message += "\x5d" + std::string(4, 'x');                     // 11, four bytes.
  message += "\x62\x05hello";                                  // 12, text.
  message += "\xf8\xff\xff\xff\x0f" + std::string("\x07", 1);  // The largest number there is.
  message += TabularRecord(5);
  message += "\x68\x01";  // 13, after the payload.
  const Content content = Read(Frame(TestMetadata()) + Frame(message));
  EXPECT_EQ(Numbers(content), std::vector<int>{5}) << content.torn;
}

TEST_F(ReaderTest, RefusesWhatIsNoSensorData) {
  const std::string metadata = "\x0a\x02\x0a" + std::string(1, '\0');
  const std::string payload = "\x1a\x03" + std::string("png");
  const std::string table = "\x12" + std::string(1, '\0');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"no payload", metadata},
      {"binary before metadata", payload + metadata},
      {"struct before metadata", table + metadata},
      {"a field longer than its record", metadata + "\x1a\x09png"},
      {"a field without its length", payload + "\x62"},
      {"a tag that is cut", payload + "\x80"},
      {"a varint that is cut", payload + "\x48\x80"},
      {"eight bytes that are cut", payload + "\x51xxx"},
      {"four bytes that are cut", payload + "\x5dxxx"},
      {"a group", payload + "\x4b\x4c"},
      {"wire type 6", payload + "\x4e"},
      {"field 0, a varint", payload + std::string("\x00\x01", 2)},
      {"field 0, text", payload + std::string("\x02\x00", 2)},
      {"zeros", payload + std::string(4, '\0')},
      {"a tag of more than 32 bits", payload + "\x88\x80\x80\x80\x80\x01\x01"},
  };
  for (const auto& [what, message] : cases) {
    const Content content = Read(Frame(TestMetadata()) + Frame(message) + Frame(TabularRecord(0)));
    EXPECT_TRUE(content.status.ok()) << what;
    EXPECT_TRUE(content.records.empty()) << what;
    EXPECT_EQ(content.torn.code(), absl::StatusCode::kDataLoss) << what;
    EXPECT_EQ(content.position, Frame(TestMetadata()).size()) << what;
  }
  EXPECT_EQ(Read(Frame(TestMetadata()) + Frame(metadata + payload)).records.size(), 1U);
}

TEST_F(ReaderTest, ReadsFilesLargerThanItsWindow) {
  std::string file = Frame(TestMetadata());
  std::vector<std::string> expected;
  std::mt19937 random(2);
  for (int n = 0; n < 60; ++n) {
    const size_t size = n % 7 == 0 ? 70000 + random() % 200000 : random() % 3000;
    expected.push_back(BinaryRecord(std::string(size + 1, static_cast<char>('a' + n % 26))));
    file += Frame(expected.back());
  }
  const Content content = Read(file);
  EXPECT_TRUE(content.torn.ok()) << content.torn;
  EXPECT_EQ(content.messages, expected);
}

TEST_F(ReaderTest, LooksAtNoByteBeyondTheSizeItIsGiven) {
  const std::string whole = TabularFile(3);
  const Content content = ReadFrom(FileOf(whole).get(), whole.size() - 1);
  EXPECT_EQ(Numbers(content), (std::vector<int>{0, 1}));
  EXPECT_FALSE(content.torn.ok());
}

TEST_F(ReaderTest, NoticesThatTheFileHasBecomeShorter) {
  const std::string whole = TabularFile(3);
  EXPECT_EQ(ReadFrom(FileOf(whole).get(), whole.size() + 50).status.code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(ReaderTest, TellsTheDisksErrorFromATornFile) {
  ops_.Fail(FaultyFileOps::Call::kPread, EIO);
  const Content content = Read(TabularFile(3));
  EXPECT_NE(content.status.message().find("Input/output error"), std::string::npos);
  EXPECT_NE(content.status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(ReaderTest, GoesOnFromWhereItIsTold) {
  const UniqueFd fd = FileOf(TabularFile(3));
  absl::StatusOr<Reader> reader = Reader::Open(ops_, fd.get(), TabularFile(3).size());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->metadata_frame().end(), Frame(TestMetadata()).size());
  reader->Seek(TabularFile(2).size());
  const auto third = reader->Next();
  ASSERT_TRUE(third.ok() && third->has_value());
  EXPECT_EQ(Extract(fd.get(), (*third)->message), TabularRecord(2));
  reader->Seek(TabularFile(1).size());
  const auto second = reader->Next();
  ASSERT_TRUE(second.ok() && second->has_value());
  EXPECT_EQ(Extract(fd.get(), (*second)->message), TabularRecord(1));
}

TEST_F(ReaderTest, SurvivesWhateverTheBytesAre) {
  const std::string good = TabularFile(4) + Frame(BinaryRecord("picture"));
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) {
      switch (random() % 3) {
        case 0:
          bytes[random() % bytes.size()] = static_cast<char>(random());
          break;
        case 1:
          bytes.insert(random() % bytes.size(), 1, static_cast<char>(random()));
          break;
        default:
          bytes.erase(random() % bytes.size(), 1 + random() % 5);
      }
    }
    const Content content = Read(bytes);
    EXPECT_TRUE(content.status.ok() || absl::IsDataLoss(content.status)) << content.status;
    EXPECT_LE(content.position, bytes.size());
  }
}

}  // namespace
}  // namespace datamanager::capture_file
