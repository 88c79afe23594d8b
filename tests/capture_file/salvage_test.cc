#include "capture_file/salvage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "capture_file/format.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {

void PrintTo(const Extent& extent, std::ostream* out) {
  *out << extent.offset << "+" << extent.size;
}
bool operator==(const Extent& a, const Extent& b) {
  return a.offset == b.offset && a.size == b.size;
}

namespace {

using testing::FaultyFileOps;
using testing::Frame;
using testing::TabularFile;
using testing::TabularRecord;
using testing::TempDir;
using testing::TestMetadata;
using testing::WriteFile;

namespace wire = testing::wire;

constexpr uint64_t kPage = 4096;
// From 6 s later on, for half a minute, whole seconds are encoded as valid UTF-8: only then can
// text look like records.
constexpr int64_t kBegunMillis = 1743816000000;
constexpr WallTime kBegun{std::chrono::milliseconds(kBegunMillis)};

// A record of that many milliseconds after the file was begun.
wire::SensorData RecordAt(int64_t millis) {
  wire::SensorData data;
  const int64_t time = kBegunMillis + millis;
  for (auto* const stamp : {data.mutable_metadata()->mutable_time_requested(),
                            data.mutable_metadata()->mutable_time_received()}) {
    stamp->set_seconds(time / 1000);
    if (time % 1000 != 0) stamp->set_nanos(static_cast<int32_t>(time % 1000) * 1000000);
  }
  return data;
}
std::string TextRecordAt(int64_t millis, const std::string& text) {
  wire::SensorData data = RecordAt(millis);
  (*data.mutable_struct_()->mutable_fields())["text"].set_string_value(text);
  return data.SerializeAsString();
}
std::string ImageAt(int64_t millis, const std::string& bytes) {
  wire::SensorData data = RecordAt(millis);
  data.set_binary(bytes);
  return data.SerializeAsString();
}
std::string BinaryMetadata() {
  wire::DataCaptureMetadata metadata;
  metadata.ParseFromString(TestMetadata());
  metadata.set_type(wire::DATA_TYPE_BINARY_SENSOR);
  return metadata.SerializeAsString();
}

// A capture file that knows where its records are.
struct KnownFile {
  std::string bytes;
  std::vector<Extent> frames;

  explicit KnownFile(const std::string& metadata) : bytes(Frame(metadata)) {}
  void Add(const std::string& message) {
    const std::string frame = Frame(message);
    frames.push_back({bytes.size(), frame.size()});
    bytes += frame;
  }
};

class SalvageTest : public ::testing::Test {
 protected:
  absl::StatusOr<Salvage> TryFind(const std::string& bytes, SalvageOptions options) {
    WriteFile(path_, bytes);
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    return FindWholeRecords(ops_, fd.get(), bytes.size(), options);
  }
  Salvage Find(const std::string& bytes, KeepGoing keep_going = {}) {
    absl::StatusOr<Salvage> salvage = TryFind(bytes, {.begun = kBegun,
                                                      .changed = kBegun + std::chrono::minutes(2),
                                                      .damaged_at = {},
                                                      .keep_going = std::move(keep_going)});
    EXPECT_TRUE(salvage.ok()) << salvage.status();
    return salvage.ok() ? *std::move(salvage) : Salvage{};
  }

  const TempDir temp_;
  const std::string path_ = temp_.path() + "/file";
  FaultyFileOps ops_;
};

// A file of 297 records by default, as a robot writes it.
KnownFile Telemetry(int count = 297) {
  KnownFile file(TestMetadata());
  for (int i = 0; i < count; ++i) {
    file.Add(TextRecordAt(i * 100, absl::StrCat("reading ", i, std::string(i % 37, 'x'))));
  }
  return file;
}

TEST_F(SalvageTest, WholeFile_IsWholeToItsEnd) {
  const KnownFile file = Telemetry();
  const Salvage salvage = Find(file.bytes);
  EXPECT_TRUE(salvage.damage.ok());
  EXPECT_EQ(salvage.whole_records, 297U);
  EXPECT_EQ(salvage.whole_end, file.bytes.size());
  EXPECT_FALSE(salvage.must_keep());
}

TEST_F(SalvageTest, OneFlippedBit_CostsAtMostItsRecord) {
  const KnownFile file = Telemetry();
  const Extent& hit = file.frames[53];
  for (uint64_t byte = hit.offset; byte < hit.end(); ++byte) {
    for (const int bit : {0, 3, 7}) {
      std::string bytes = file.bytes;
      bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
      const Salvage salvage = Find(bytes);
      const uint64_t whole = salvage.whole_records + salvage.run_records;
      // If it still parses, the damage cannot be noticed.
      ASSERT_TRUE(whole == 296 || (whole == 297 && salvage.damage.ok()))
          << whole << ": byte " << byte - hit.offset << ", bit " << bit;
      if (whole == 297) continue;
      ASSERT_EQ(salvage.runs, (std::vector<Extent>{{hit.end(), file.bytes.size() - hit.end()}}));
      ASSERT_EQ(salvage.remainders, std::vector<Extent>{hit});
    }
  }
}

TEST_F(SalvageTest, OneZeroedPage_CostsThatPage) {
  const KnownFile file = Telemetry();
  for (uint64_t page = 1; (page + 1) * kPage < file.bytes.size(); ++page) {
    std::string bytes = file.bytes;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(page * kPage), kPage, '\0');
    const auto touched = static_cast<uint64_t>(
        std::count_if(file.frames.begin(), file.frames.end(), [&](const Extent& frame) {
          return bytes.compare(frame.offset, frame.size, file.bytes, frame.offset, frame.size) != 0;
        }));
    const Salvage salvage = Find(bytes);
    // Zeros at the end of a text still are text.
    EXPECT_GE(salvage.whole_records + salvage.run_records, 297 - touched) << page;
    EXPECT_LE(salvage.whole_records + salvage.run_records, 298 - touched) << page;
  }
}

TEST_F(SalvageTest, ZeroedFirstPage_LeavesAllElseAsARemainder) {
  std::string bytes = Telemetry().bytes;
  std::fill_n(bytes.begin(), kPage, '\0');
  const Salvage salvage = Find(bytes);
  EXPECT_EQ(salvage.whole_records + salvage.run_records, 0U);
  EXPECT_EQ(salvage.metadata.size, 0U);
  ASSERT_EQ(salvage.remainders.size(), 1U);
  EXPECT_EQ(salvage.remainders[0], (Extent{kPage, bytes.size() - kPage}));
}

TEST_F(SalvageTest, TornTail_IsOneUnfinishedRecord_WhereverItIsCut) {
  KnownFile file = Telemetry(20);
  const Extent last = file.frames.back();
  for (uint64_t size = last.offset + 1; size < last.end(); ++size) {
    const Salvage salvage = Find(file.bytes.substr(0, size));
    EXPECT_EQ(salvage.whole_records, 19U);
    EXPECT_EQ(salvage.unfinished, (Extent{last.offset, size - last.offset})) << size;
    EXPECT_FALSE(salvage.must_keep()) << size;
  }
}

// Also for a source with a clock of its own, and no earlier record that would show it.
TEST_F(SalvageTest, OnlyRecordCutOff_IsUnfinished_WhateverItsTimes) {
  for (const int64_t millis : {int64_t{0}, -int64_t{86400000} * 365 * 20}) {
    for (const bool binary : {false, true}) {
      KnownFile file(binary ? BinaryMetadata() : TestMetadata());
      const std::string content(10000, 'x');
      file.Add(binary ? ImageAt(millis, content) : TextRecordAt(millis, content));
      const Extent frame = file.frames.back();
      for (uint64_t size = frame.offset + 1; size < frame.end(); size += 7) {
        const Salvage salvage = Find(file.bytes.substr(0, size));
        EXPECT_EQ(salvage.unfinished, (Extent{frame.offset, size - frame.offset}));
        EXPECT_FALSE(salvage.must_keep()) << size << " " << millis << " " << binary;
      }
    }
  }
}

TEST_F(SalvageTest, ZerosAtTheEnd_AreNothing) {
  const std::string bytes = Telemetry(5).bytes;
  for (const size_t zeros : {size_t{1}, size_t{7}, size_t{100000}}) {
    const Salvage salvage = Find(bytes + std::string(zeros, '\0'));
    EXPECT_EQ(salvage.whole_end, bytes.size());
    EXPECT_FALSE(salvage.must_keep());
    EXPECT_EQ(salvage.unfinished.size, 0U);
  }
}

TEST_F(SalvageTest, GarbageAtTheEnd_IsARemainder) {
  const std::string bytes = Telemetry(5).bytes;
  for (const std::string& garbage :
       {std::string("torn"), Frame("no record"), std::string("\x7f this is no record")}) {
    const Salvage salvage = Find(bytes + garbage);
    EXPECT_EQ(salvage.remainders, (std::vector<Extent>{{bytes.size(), garbage.size()}}));
    EXPECT_EQ(salvage.unfinished.size, 0U);
  }
}

// By its lengths it reaches to the file's end, so it is not an unfinished record.
TEST_F(SalvageTest, LastRecordWithAFlippedLength_IsARemainder) {
  KnownFile file = Telemetry(5);
  std::string bytes = file.bytes;
  bytes[file.frames.back().offset] ^= 0x20;
  const Salvage salvage = Find(bytes);
  EXPECT_EQ(salvage.whole_records, 4U);
  EXPECT_EQ(salvage.remainders, std::vector<Extent>{file.frames.back()});
}

// A payload may look like records.
TEST_F(SalvageTest, FramesInAPayload_AreNoRecords) {
  const std::string inner =
      Frame(TextRecordAt(21000, "inside")) + Frame(TextRecordAt(22000, "too"));
  ASSERT_TRUE(IsUtf8(inner));
  for (const std::string& text : {inner, inner + "and more", "before" + inner}) {
    KnownFile file = Telemetry(200);
    file.Add(TextRecordAt(20000, text));
    const Extent outer = file.frames.back();
    for (int i = 231; i < 251; ++i) file.Add(TextRecordAt(i * 100, "behind"));
    ASSERT_EQ(Find(file.bytes).whole_records, 221U);
    // Any bit before the text, and the beginning of any page in it.
    const uint64_t head = file.bytes.find(inner) - outer.offset;
    for (uint64_t byte = 0; byte < head; ++byte) {
      for (const bool zeroed : {false, true}) {
        std::string bytes = file.bytes;
        if (zeroed) {
          std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(outer.offset), byte + 1, '\0');
        } else {
          bytes[outer.offset + byte] ^= 0x10;
        }
        const Salvage salvage = Find(bytes);
        for (const Extent& run : salvage.runs) {
          EXPECT_GE(run.offset, outer.end()) << byte << " " << text << " " << zeroed;
        }
        EXPECT_GE(salvage.whole_records + salvage.run_records, 220U) << byte << " " << text;
      }
    }
    // The file is also cut off there.
    const Salvage cut = Find(file.bytes.substr(0, file.bytes.find(inner) + inner.size()));
    EXPECT_TRUE(cut.runs.empty()) << text;
    EXPECT_EQ(cut.whole_records, text.ends_with(inner) ? 201U : 200U);
  }
}

TEST_F(SalvageTest, UnfinishedRecordThatHoldsRecords_IsKept) {
  const std::string inner = Frame(TextRecordAt(21000, "inside"));
  KnownFile file = Telemetry(200);
  file.Add(TextRecordAt(20000, inner + "and more"));
  const Salvage salvage = Find(file.bytes.substr(0, file.bytes.find(inner) + inner.size()));
  EXPECT_TRUE(salvage.runs.empty());
  EXPECT_EQ(salvage.unfinished.size, 0U);
  ASSERT_EQ(salvage.remainders.size(), 1U);
  EXPECT_EQ(salvage.remainders[0].offset, file.frames.back().offset);
}

TEST_F(SalvageTest, FramesWithOtherTimes_AreNoRecords) {
  std::string bytes = Telemetry(5).bytes;
  const uint64_t end = bytes.size();
  for (const int64_t shift : {-30, 30}) {
    const std::string other = "\x01garbage" + Frame(TextRecordAt(shift * 3600000, "old"));
    const Salvage salvage = Find(bytes + other);
    EXPECT_TRUE(salvage.runs.empty()) << shift;
    EXPECT_EQ(salvage.remainders, (std::vector<Extent>{{end, other.size()}})) << shift;
  }
}

// A source may have a clock of its own.
TEST_F(SalvageTest, FileWithTimesOfAnotherClock_IsSalvagedByItsOwn) {
  KnownFile file(TestMetadata());
  for (int i = 0; i < 100; ++i) {
    file.Add(TextRecordAt(i * 100 - int64_t{86400000} * 365 * 20, "reading"));
  }
  std::string bytes = file.bytes;
  bytes[file.frames[50].offset + 1] ^= 1;
  const Salvage salvage = Find(bytes);
  EXPECT_EQ(salvage.whole_records + salvage.run_records, 99U);
}

// As a page that was written twice, with frames that begin right where a length leads.
TEST_F(SalvageTest, CopyThatALengthLeadsTo_DoesNotCount) {
  const KnownFile file = Telemetry();
  const auto frames = [&](size_t first, size_t last) {
    const uint64_t begin = file.frames[first].offset;
    return file.bytes.substr(begin, file.frames[last].end() - begin);
  };
  // No text any more, but of the right length.
  const auto damaged = [&](size_t frame) {
    std::string bytes = frames(frame, frame);
    bytes.back() = static_cast<char>(bytes.back() ^ 0x80);
    return bytes;
  };
  const std::string begin = file.bytes.substr(0, file.frames[51].offset) + damaged(51);
  const std::string rest = frames(52, 296);
  struct Case {
    const char* name;
    std::string copy;
  };
  const Case cases[] = {{"of older records", frames(3, 5) + damaged(6)},
                        {"of later records", frames(100, 105) + damaged(106)}};
  for (const Case& test : cases) {
    const std::string before = begin + test.copy;
    const Salvage salvage = Find(before + rest);
    EXPECT_EQ(salvage.whole_records, 51U) << test.name;
    EXPECT_EQ(salvage.runs, (std::vector<Extent>{{before.size(), rest.size()}})) << test.name;
    EXPECT_EQ(salvage.run_records, 245U) << test.name;
    EXPECT_EQ(salvage.remainder_bytes(), before.size() - file.frames[51].offset) << test.name;
  }
}

TEST_F(SalvageTest, RecordsThatAllHaveOneTime_AreFoundWhereALengthLeads) {
  KnownFile file(TestMetadata());
  for (int i = 0; i < 20; ++i) file.Add(TextRecordAt(500, absl::StrCat("reading ", i)));
  std::string bytes = file.bytes;
  char& last = bytes[file.frames[5].end() - 1];
  last = static_cast<char>(last ^ 0x80);
  const Salvage salvage = Find(bytes);
  EXPECT_EQ(salvage.whole_records, 5U);
  EXPECT_EQ(salvage.run_records, 14U);
}

TEST_F(SalvageTest, AnotherKindOfRecord_IsDamage) {
  KnownFile file = Telemetry(5);
  const uint64_t end = file.bytes.size();
  file.Add(ImageAt(600, "picture"));
  file.Add(TextRecordAt(700, "reading"));
  const Salvage salvage = Find(file.bytes);
  EXPECT_EQ(salvage.whole_records, 5U);
  EXPECT_EQ(salvage.whole_end, end);
  EXPECT_EQ(salvage.run_records, 1U);
  EXPECT_EQ(salvage.remainders, std::vector<Extent>{file.frames[5]});
}

TEST_F(SalvageTest, DamageThatOnlyTheServerSaw_BeginsWhereItSaid) {
  KnownFile file = Telemetry(10);
  const absl::StatusOr<Salvage> salvage =
      TryFind(file.bytes, {.begun = kBegun,
                           .changed = kBegun + std::chrono::minutes(2),
                           .damaged_at = file.frames[4].offset,
                           .keep_going = {}});
  ASSERT_TRUE(salvage.ok());
  EXPECT_EQ(salvage->whole_records, 4U);
  EXPECT_EQ(salvage->run_records, 5U);
  EXPECT_EQ(salvage->remainders, std::vector<Extent>{file.frames[4]});
}

TEST_F(SalvageTest, MetadataBeyondTheLimit_IsKeptWhole) {
  const std::string bytes =
      Frame(std::string(kMaxMetadataBytes + 1, 'm')) + Frame(TextRecordAt(0, "reading"));
  const Salvage salvage = Find(bytes);
  EXPECT_EQ(salvage.whole_records + salvage.run_records, 0U);
  EXPECT_EQ(salvage.remainders, (std::vector<Extent>{{0, bytes.size()}}));
}

// Sparse, so that it takes no room.
TEST_F(SalvageTest, RecordOf2GiB_IsARemainder) {
  const uint64_t payload = uint64_t{1} << 31;
  const std::string metadata = ImageAt(0, "").substr(0, RecordAt(0).SerializeAsString().size());
  std::string message = metadata + "\x1a" + testing::Varint(payload);
  const std::string head =
      Frame(BinaryMetadata()) + testing::Varint(message.size() + payload) + message + "picture";
  const uint64_t frame = Frame(BinaryMetadata()).size();
  const uint64_t size = head.size() - 7 + payload;
  WriteFile(path_, head);
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  uint64_t questions = 0;
  const absl::StatusOr<Salvage> salvage =
      FindWholeRecords(ops_, fd.get(), 64 << 20,
                       {.begun = kBegun, .changed = kBegun, .damaged_at = {}, .keep_going = [&] {
                          return ++questions > 0;
                        }});
  ASSERT_TRUE(salvage.ok()) << salvage.status();
  EXPECT_EQ(salvage->whole_records, 0U);
  ASSERT_EQ(salvage->remainders.size(), 1U);
  EXPECT_EQ(salvage->remainders[0].offset, frame);
  EXPECT_GE(questions, 512U);
}

TEST_F(SalvageTest, Stop_EndsIt) {
  std::string bytes = Telemetry().bytes + std::string(10 << 20, 'x');
  int questions = 0;
  const absl::StatusOr<Salvage> salvage =
      TryFind(bytes, {.begun = kBegun, .changed = kBegun, .damaged_at = {}, .keep_going = [&] {
                        return ++questions < 3;
                      }});
  EXPECT_TRUE(absl::IsCancelled(salvage.status())) << salvage.status();
  EXPECT_EQ(questions, 3);
}

// Records within records within records: only the last byte of each shows that it is none. The work
// for this is bounded.
TEST_F(SalvageTest, NearFrames_CostWorkThatGrowsWithTheFileOnly) {
  for (const int depth : {1000, 4000}) {
    std::string nested = "\xff";
    for (int i = 0; i < depth; ++i) {
      const std::string head = RecordAt(depth - i).SerializeAsString();
      wire::SensorData data = RecordAt(depth - i);
      const std::string entry = absl::StrCat(
          "\n\x01t\x12", testing::Varint(1 + testing::Varint(nested.size()).size() + nested.size()),
          "\x1a", testing::Varint(nested.size()), nested);
      const std::string map = absl::StrCat("\n", testing::Varint(entry.size()), entry);
      nested = Frame(absl::StrCat(head, "\x12", testing::Varint(map.size()), map));
    }
    const std::string bytes = Telemetry(5).bytes + "\x01" + nested + "x" + nested;
    uint64_t reads = 0;
    uint64_t questions = 0;
    const int before = ops_.Count(FaultyFileOps::Call::kPread);
    const Salvage salvage = Find(bytes, [&] { return ++questions > 0; });
    reads = static_cast<uint64_t>(ops_.Count(FaultyFileOps::Call::kPread) - before);
    EXPECT_TRUE(salvage.runs.empty());
    EXPECT_LE(questions, (16 * bytes.size() + (32 << 20)) / (64 << 10)) << bytes.size();
    EXPECT_LE(reads, 100000U) << bytes.size();
  }
}

// Damages files in every way that media do, at random but the same each time.
class SalvageFuzz : public SalvageTest, public ::testing::WithParamInterface<int> {
 protected:
  // The soak sets the number in SALVAGE_ROUNDS.
  static int Rounds() {
    const char* const given = std::getenv("SALVAGE_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
    return given == nullptr ? 25 : std::atoi(given);
  }
  uint64_t Random(uint64_t limit) { return random_() % limit; }
  std::string Noise(size_t size) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random_());
    return noise;
  }
  std::string Text(size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(' ' + random_() % 95);
    return text;
  }
  KnownFile Generate() {
    const bool binary = Random(4) == 0;
    binary_ = binary;
    KnownFile file(binary ? BinaryMetadata() : TestMetadata());
    const uint64_t count = binary ? 1 + Random(6) : 20 + Random(300);
    for (uint64_t i = 0; i < count; ++i) {
      const auto millis = static_cast<int64_t>(i * 100);
      if (binary) {
        std::string bytes = Noise(Random(20000));
        if (Random(3) == 0) bytes += Frame(ImageAt(millis - 50, "picture"));
        file.Add(ImageAt(millis, bytes));
        continue;
      }
      std::string text = Text(Random(120));
      // At a whole second, a record can be text.
      if (i >= 60 && i % 10 == 0) {
        text += Frame(TextRecordAt(millis, "inside"));
        if (Random(2) == 0) text += Text(20);
      }
      wire::SensorData data = RecordAt(millis);
      auto& fields = *data.mutable_struct_()->mutable_fields();
      fields["text"].set_string_value(text);
      if (Random(2) == 0) fields["n"].set_number_value(static_cast<double>(Random(1000)));
      if (Random(3) == 0) fields["b"].set_bool_value(true);
      file.Add(data.SerializeAsString());
    }
    return file;
  }

  // Also the end of a text, from the middle of a letter on.
  static bool CanBeText(std::string_view bytes) {
    for (int i = 0; i < 3 && !bytes.empty() && (bytes.front() & 0xc0) == 0x80; ++i) {
      bytes.remove_prefix(1);
    }
    return IsUtf8(bytes);
  }
  static std::string Describe(const KnownFile& file, const std::string& bytes,
                              const Salvage& salvage, uint64_t position) {
    std::string text;
    for (const Extent& run : salvage.runs) {
      absl::StrAppend(&text, " run ", run.offset, "..", run.end());
    }
    absl::StrAppend(&text, " whole ", salvage.whole_end);
    for (const Extent& frame : file.frames) {
      if (frame.end() + 300 < position || frame.offset > position + 300) continue;
      const bool same =
          bytes.compare(frame.offset, frame.size, file.bytes, frame.offset, frame.size) == 0;
      absl::StrAppend(&text, "\n  ", frame.offset, "..", frame.end(), same ? " whole" : " hit");
    }
    return text;
  }

  bool binary_ = false;
  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
};

TEST_P(SalvageFuzz, NothingWholeIsLost_NothingIsThereTwice_NoGarbageIsARecord) {
  enum Damage { kFlips, kZeroPages, kCut, kCutAndFlip, kCopiedPage, kDamages };
  uint64_t whole_frames = 0;
  uint64_t found_frames = 0;
  int copied_pages = 0;
  int fitting_copies = 0;
  const int rounds = Rounds();
  for (int round = 0; round < rounds; ++round) {
    const KnownFile file = Generate();
    std::string bytes = file.bytes;
    const auto damage = static_cast<Damage>(Random(kDamages));
    const uint64_t first = file.frames.front().offset;
    const auto flip = [&] {
      char& byte = bytes[first + Random(bytes.size() - first)];
      byte = static_cast<char>(byte ^ (1 << Random(8)));
    };
    const uint64_t pages = bytes.size() / kPage;
    switch (damage) {
      case kFlips:
        for (uint64_t i = Random(4); i < 4; ++i) flip();
        break;
      case kZeroPages:
        for (uint64_t i = Random(2); i < 2 && pages > 1; ++i) {
          std::fill_n(bytes.begin() + static_cast<ptrdiff_t>((1 + Random(pages - 1)) * kPage),
                      kPage, '\0');
        }
        break;
      case kCutAndFlip:
        flip();
        [[fallthrough]];
      case kCut:
        bytes.resize(first + 1 + Random(bytes.size() - first));
        break;
      case kCopiedPage:
        if (pages > 2) {
          bytes.replace((1 + Random(pages - 1)) * kPage, kPage,
                        bytes.substr((1 + Random(pages - 1)) * kPage, kPage));
        }
        break;
      case kDamages:
        break;
    }
    bytes.resize(std::min(bytes.size(), file.bytes.size()));
    const Salvage salvage = Find(bytes);

    // Each byte belongs to a part, or is zero.
    std::vector<Extent> parts = salvage.runs;
    parts.insert(parts.end(), salvage.remainders.begin(), salvage.remainders.end());
    parts.push_back({0, salvage.whole_end});
    if (salvage.unfinished.size > 0) parts.push_back(salvage.unfinished);
    std::sort(parts.begin(), parts.end(),
              [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
    uint64_t end = 0;
    parts.push_back({bytes.size(), 0});
    for (const Extent& part : parts) {
      ASSERT_GE(part.offset, end);
      for (; end < part.offset; ++end) ASSERT_EQ(bytes[end], '\0') << "dropped at " << end;
      end = part.end();
    }

    // Find the published records.
    std::map<uint64_t, uint64_t> known;
    for (const Extent& frame : file.frames) known[frame.offset] = frame.size;
    std::vector<Extent> published{{first, salvage.whole_end - first}};
    published.insert(published.end(), salvage.runs.begin(), salvage.runs.end());
    std::map<std::string, int> times;
    std::set<uint64_t> found;
    for (const Extent& run : published) {
      for (uint64_t position = run.offset; position < run.end();) {
        uint64_t size = 0;
        const char* const message =
            ReadVarint(bytes.data() + position, bytes.data() + run.end(), &size);
        ASSERT_NE(message, nullptr);
        size += static_cast<uint64_t>(message - bytes.data()) - position;
        const bool untouched = bytes.compare(position, size, file.bytes, position, size) == 0;
        if (untouched || damage != kCopiedPage) {
          const auto at = known.find(position);
          ASSERT_TRUE(at != known.end() && (at->second == size || !untouched))
              << "garbage at " << position << ", damage " << damage << ", round " << round
              << Describe(file, bytes, salvage, position);
        }
        if (untouched) found.insert(position);
        ++times[bytes.substr(position, size)];
        position += size;
      }
    }
    bool twice = false;
    std::map<std::string, int> originals;
    for (const Extent& frame : file.frames)
      ++originals[file.bytes.substr(frame.offset, frame.size)];
    for (const auto& [record, count] : times) {
      if (originals.contains(record)) {
        twice = twice || count > 1;
      }
    }
    if (damage == kCopiedPage) {
      ++copied_pages;
      fitting_copies += twice;
      continue;
    }
    ASSERT_FALSE(twice) << "damage " << damage << ", round " << round;
    for (const Extent& frame : file.frames) {
      if (frame.end() > bytes.size() ||
          bytes.compare(frame.offset, frame.size, file.bytes, frame.offset, frame.size) != 0) {
        continue;
      }
      ++whole_frames;
      found_frames += found.contains(frame.offset);
      // A record that may be text is in doubt, and so is a binary one that no length leads to.
      if (CanBeText(bytes.substr(frame.offset, frame.size)) || binary_) continue;
      EXPECT_TRUE(found.contains(frame.offset))
          << "lost: " << frame.offset << " of " << bytes.size() << ", damage " << damage
          << ", round " << round << Describe(file, bytes, salvage, frame.offset);
    }
  }
  // A record ends by chance where a frame of the copy begins: one in a hundred, as frames are long.
  EXPECT_LE(fitting_copies, copied_pages / 50);
  std::printf("salvage: %llu of %llu whole records found\n",
              static_cast<unsigned long long>(found_frames),
              static_cast<unsigned long long>(whole_frames));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SalvageFuzz, ::testing::Range(1, 5));

}  // namespace
}  // namespace datamanager::capture_file
