#include "capture_file/file_name.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// The process's time zone, for as long as it lives.
class TimeZone {
 public:
  explicit TimeZone(const std::string& name) {
    if (const char* before = getenv("TZ")) before_ = before;
    Set(name);
  }
  ~TimeZone() { Set(before_); }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  static void Set(const std::optional<std::string>& name) {
    if (name.has_value()) {
      setenv("TZ", name->c_str(), 1);
    } else {
      unsetenv("TZ");
    }
    tzset();
  }
  std::optional<std::string> before_;
};

// 2026-01-02T08:04:05Z.
constexpr WallTime kWinter{seconds(1767341045)};
// 2026-07-02T08:04:05Z.
constexpr WallTime kSummer{seconds(1782979445)};

// As POSIX writes zones, so that no database of them is needed: hours west of Greenwich.
const char* const kZones[] = {"UTC0",
                              "EST5EDT,M3.2.0,M11.1.0",
                              "CET-1CEST,M3.5.0,M10.5.0/3",
                              "IST-5:30",
                              "NPT-5:45",
                              "<-0330>3:30",
                              "<+14>-14",
                              "<-12>12"};

TEST(FileNameTest, StampsAreLocalTimeWithTheOffset) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"UTC0", "2026-01-02T08_04_05.000006Z.prog"},
      {"EST5EDT,M3.2.0,M11.1.0", "2026-01-02T03_04_05.000006-05_00.prog"},
      {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-01-02T09_04_05.000006+01_00.prog"},
      {"IST-5:30", "2026-01-02T13_34_05.000006+05_30.prog"},
      {"<-0330>3:30", "2026-01-02T04_34_05.000006-03_30.prog"},
      {"<+14>-14", "2026-01-02T22_04_05.000006+14_00.prog"},
  };
  for (const auto& [zone, name] : table) {
    const TimeZone scope(zone);
    EXPECT_EQ(InProgressName(kWinter + microseconds(6)), name);
  }
  const TimeZone summer("EST5EDT,M3.2.0,M11.1.0");
  EXPECT_EQ(CompleteName(kSummer), "2026-07-02T04_04_05.000000-04_00.capture");
}

TEST(FileNameTest, WhatIsBuiltIsParsed) {
  for (const char* zone : kZones) {
    const TimeZone scope(zone);
    for (const WallTime start :
         {kWinter, kSummer, kWinter + microseconds(1), kWinter + microseconds(999999), WallTime{},
          WallTime{} - microseconds(1), WallTime{} - hours(24 * 365 * 30),
          kWinter + hours(24 * 365 * 100)}) {
      EXPECT_EQ(ParseStamp(InProgressName(start)), start) << zone << InProgressName(start);
      EXPECT_EQ(ParseStamp(CompleteName(start)), start) << zone << CompleteName(start);
    }
  }
}

// A zone with one kind of time, as the database has it, with a leap second at the end of 2016 if
// wanted (RFC 8536, version 1).
class ZoneFile {
 public:
  ZoneFile(int32_t offset, bool leap_second) : path_(directory_.path() + "/zone") {
    std::string text = "TZif" + std::string(16, '\0');
    for (const uint32_t count : {0, 0, leap_second ? 1 : 0, 0, 1, 4}) Append(text, count);
    Append(text, static_cast<uint32_t>(offset));
    text += std::string(2, '\0') + std::string("ABC\0", 4);
    if (leap_second) {
      Append(text, kLeapSecond);
      Append(text, 1);
    }
    testing::WriteFile(path_, text);
  }
  std::string name() const { return ":" + path_; }

  static constexpr uint32_t kLeapSecond = 1483228800;  // 2016-12-31T23:59:60Z.

 private:
  static void Append(std::string& text, uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(number >> shift);
  }

  const testing::TempDir directory_;
  const std::string path_;
};

TEST(FileNameTest, AnOffsetWithSecondsIsWrittenInWholeMinutesAndReadsBack) {
  // Offsets of Amsterdam until 1937, of New York and Manila, and some of less than a minute.
  for (const int32_t offset : {1172, -17762, -57360 - 8, 30, -30, 59, -61, 359 * 60 + 59}) {
    const ZoneFile zone(offset, false);
    const TimeZone scope(zone.name());
    struct tm local {};
    const time_t at = 1767341045;
    ASSERT_EQ(localtime_r(&at, &local)->tm_gmtoff, offset) << "the zone file is read";
    EXPECT_EQ(ParseStamp(InProgressName(kWinter)), kWinter) << InProgressName(kWinter);
    EXPECT_TRUE(ParseComplete(CompleteName(kWinter)).has_value()) << CompleteName(kWinter);
  }
  const ZoneFile amsterdam(1172, false);
  const TimeZone scope(amsterdam.name());
  EXPECT_EQ(InProgressName(kWinter), "2026-01-02T08_23_05.000000+00_19.prog");
}

TEST(FileNameTest, ALeapSecondReadsBackAsItself) {
  const ZoneFile zone(0, true);
  const TimeZone scope(zone.name());
  const time_t leap = ZoneFile::kLeapSecond;
  struct tm local {};
  ASSERT_EQ(localtime_r(&leap, &local)->tm_sec, 60) << "the zone file is read";
  for (int64_t second = leap - 2; second <= leap + 2; ++second) {
    const WallTime start{seconds(second)};
    EXPECT_EQ(ParseStamp(InProgressName(start)), start) << InProgressName(start);
    EXPECT_TRUE(ParseComplete(CompleteName(start)).has_value()) << CompleteName(start);
  }
}

TEST(FileNameTest, ALeapSecondInANameIsTheNextMinutesFirst) {
  const std::string name = "2016-12-31T23_59_60.500000Z";
  EXPECT_EQ(ParseStamp(name + ".prog"), WallTime(seconds(1483228800)) + microseconds(500000));
  EXPECT_FALSE(ParseComplete(name + ".capture").has_value()) << "it would not be made again";
  EXPECT_FALSE(ParseStamp("2016-12-31T23_59_61.500000Z.prog").has_value());
}

// Includes the zones with leap seconds, where the system has them.
TEST(FileNameTest, StampsReadBackInEveryZoneOfTheDatabaseAtEachKindOfItsTime) {
  const std::string database = "/usr/share/zoneinfo";
  std::vector<WallTime> times = {kWinter, kSummer, WallTime(seconds(ZoneFile::kLeapSecond)),
                                 WallTime(seconds(ZoneFile::kLeapSecond + 27))};
  // From the first year that nanoseconds can count, in steps of a little more than ten years.
  for (auto time = WallTime::min() + hours(24 * 366); time < WallTime::max() - hours(24 * 366 * 11);
       time += hours(24 * 366 * 10 + 1009) + nanoseconds(123456789)) {
    times.push_back(std::chrono::floor<microseconds>(time));
  }
  size_t zones = 0;
  for (const std::string& path : testing::FilesBelow(database)) {
    if (testing::ReadFile(path).rfind("TZif", 0) != 0) continue;
    ++zones;
    const TimeZone scope(":" + path);
    for (const WallTime time : times) {
      ASSERT_EQ(ParseStamp(InProgressName(time)), time) << path << " " << InProgressName(time);
      const std::string complete = CompleteName(time);
      const auto stamp = ParseComplete(complete);
      ASSERT_TRUE(stamp.has_value()) << path << " " << complete;
      std::string again;
      AppendCompleteName(*stamp, again);
      ASSERT_EQ(again, complete) << path;
    }
  }
  if (zones == 0) GTEST_SKIP() << "no " << database << "; the tests before make zones of their own";
}

TEST(FileNameTest, ANameMeansTheSameInEveryZone) {
  std::string name;
  {
    const TimeZone scope("IST-5:30");
    name = CompleteName(kWinter);
  }
  for (const char* zone : kZones) {
    const TimeZone scope(zone);
    EXPECT_EQ(ParseStamp(name), kWinter) << zone;
  }
}

TEST(FileNameTest, BothSidesOfAnHourThatIsRepeatedAreToldApart) {
  const TimeZone scope("CET-1CEST,M3.5.0,M10.5.0/3");
  const WallTime first{
      seconds(1792888200)};  // 2026-10-25T00:30:00Z, 02:30 local, as an hour later.
  EXPECT_EQ(InProgressName(first), "2026-10-25T02_30_00.000000+02_00.prog");
  EXPECT_EQ(InProgressName(first + hours(1)), "2026-10-25T02_30_00.000000+01_00.prog");
}

TEST(FileNameTest, CutsToMicroseconds) {
  const TimeZone scope("UTC0");
  EXPECT_EQ(CompleteName(kWinter + nanoseconds(1999)), CompleteName(kWinter + microseconds(1)));
  EXPECT_EQ(CompleteName(WallTime{} - nanoseconds(1)), "1969-12-31T23_59_59.999999Z.capture");
}

TEST(FileNameTest, ANameMadeOfAStampIsWhatTheCLibraryMakesOfTheTime) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int64_t> second(-62167219200 + 86400, 253402300799 - 86400);
  for (int i = 0; i < 2000; ++i) {
    // Years 0 to 9999; now and then at the end of February.
    time_t at = second(random);
    struct tm time {};
    gmtime_r(&at, &time);
    if (i % 4 == 0) {
      time.tm_mon = 1;
      time.tm_mday = 29;  // The 1st of March in most years.
      at = timegm(&time);
    }
    const auto zone = static_cast<int16_t>(static_cast<int64_t>(random() % 1681) - 840);
    const int64_t micros = at * 1000000 + static_cast<int64_t>(random() % 1000000);
    const time_t local = at + zone * 60;
    gmtime_r(&local, &time);
    char expected[64];
    snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d_%02d_%02d.%06d%c%02d_%02d.capture",
             time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min,
             time.tm_sec, static_cast<int>(micros - at * 1000000), zone < 0 ? '-' : '+',
             std::abs(zone) / 60, std::abs(zone) % 60);
    std::string name = "path/";
    AppendCompleteName({.micros = micros, .zone_minutes = zone}, name);
    ASSERT_EQ(name, std::string("path/") + expected);
    const auto stamp = ParseComplete(expected);
    ASSERT_TRUE(stamp.has_value()) << expected;
    ASSERT_EQ(stamp->micros, micros) << expected;
    ASSERT_EQ(stamp->zone_minutes, zone) << expected;
  }
}

TEST(FileNameTest, NoCharacterOfAStampMayBeAnother) {
  const std::string name = "2026-11-12T13_14_15.161718+01_30.capture";
  ASSERT_TRUE(ParseComplete(name).has_value());
  for (size_t i = 0; i < name.size(); ++i) {
    for (const char c : {'/', ':', 'x', ' ', '\xff', '\0'}) {
      std::string changed = name;
      changed[i] = c;
      EXPECT_FALSE(ParseComplete(changed).has_value()) << changed;
      EXPECT_FALSE(ParseStamp(changed).has_value()) << changed;
    }
    EXPECT_FALSE(ParseComplete(name.substr(0, i) + name.substr(i + 1)).has_value());
    EXPECT_FALSE(ParseComplete(name.substr(0, i) + "0" + name.substr(i)).has_value());
  }
}

TEST(FileNameTest, ReplacesColonsOnlyInTheSegmentsThatItMakes) {
  EXPECT_EQ(CollectorDirectory("/data", "rdk:component:sensor", "cpu", "Readings"),
            "/data/rdk_component_sensor/cpu/Readings");
  EXPECT_EQ(CollectorDirectory("/a:b/c", "rdk:component:sensor", "remote:cpu", "Get:It"),
            "/a:b/c/rdk_component_sensor/remote_cpu/Get_It");
}

TEST(FileNameTest, TheExampleOfTheHeaderHolds) {
  const TimeZone scope("EST5");
  EXPECT_EQ(CollectorDirectory("/data", "rdk:component:sensor", "cpu", "Readings") + "/" +
                CompleteName(kWinter + microseconds(6)),
            "/data/rdk_component_sensor/cpu/Readings/2026-01-02T03_04_05.000006-05_00.capture");
}

TEST(FileNameTest, CompletePathChangesTheSuffixOnly) {
  const TimeZone scope("UTC0");
  const std::string path = "/data.prog/x/" + InProgressName(kWinter);
  EXPECT_EQ(CompletePath(path), "/data.prog/x/" + CompleteName(kWinter));
  EXPECT_TRUE(IsInProgress(BaseName(path)));
  EXPECT_FALSE(IsComplete(BaseName(path)));
  EXPECT_TRUE(IsComplete(CompletePath(path)));
}

TEST(FileNameTest, ForeignNamesHaveNoStamp) {
  const std::string good = "2026-01-02T03_04_05.000006-05_00";
  ASSERT_TRUE(ParseStamp(good + ".prog").has_value());
  for (const std::string& name : std::vector<std::string>{
           "",
           ".prog",
           ".capture",
           "notes.txt",
           "notes.prog",
           good,
           good + ".dat",
           good + ".prog.bak",
           good + ".prog~",
           good + ".PROG",
           "x" + good + ".prog",
           good + "x.prog",
           good + ".capture.prog",
           "2026-01-02T03:04:05.000006-05:00.prog",
           "2026-01-02T03_04_05-05_00.prog",
           "2026-01-02T03_04_05.0006-05_00.prog",
           "2026-01-02T03_04_05.000006.prog",
           "2026-01-02T03_04_05.000006z.prog",
           "2026-01-02T03_04_05.000006Z0.prog",
           "2026-01-02T03_04_05.000006-05.prog",
           "2026-01-02T03_04_05.000006-0500.prog",
           "2026-01-02 03_04_05.000006Z.prog",
           "2026-1-2T03_04_05.000006Z.prog",
           "-026-01-02T03_04_05.000006Z.prog",
           "2026-00-02T03_04_05.000006Z.prog",
           "2026-13-02T03_04_05.000006Z.prog",
           "2026-01-00T03_04_05.000006Z.prog",
           "2026-02-29T03_04_05.000006Z.prog",
           "2026-01-02T24_04_05.000006Z.prog",
           "2026-01-02T03_60_05.000006Z.prog",
           "2026-01-02T03_04_61.000006Z.prog",
       }) {
    EXPECT_EQ(ParseStamp(name), std::nullopt) << name;
  }
}

TEST(FileNameTest, NoStampIsATimeThatCannotBeHeld) {
  EXPECT_TRUE(ParseStamp("2262-04-11T23_47_16.854775Z.capture").has_value());
  EXPECT_FALSE(ParseStamp("2262-04-11T23_47_16.854776Z.capture").has_value());
  EXPECT_FALSE(ParseStamp("9999-12-31T23_59_59.999999Z.capture").has_value());
  EXPECT_TRUE(ParseStamp("1677-09-21T00_12_43.145225Z.capture").has_value());
  EXPECT_FALSE(ParseStamp("1677-09-21T00_12_43.145224Z.capture").has_value());
  EXPECT_FALSE(ParseStamp("0001-01-01T00_00_00.000000Z.capture").has_value());
}

TEST(FileNameTest, FailedPathKeepsTheRelativePath) {
  EXPECT_EQ(FailedPath("/data", "/data/a/b/x.capture"), "/data/failed/a/b/x.capture");
  EXPECT_EQ(FailedPath("/data/failed", "/data/failed/x"), "/data/failed/failed/x");
}

TEST(DatasetUploadNameTest, IsKnownAgainAndNothingElseIs) {
  const std::string digest = "0123456789abcdef0123456789abcdef";
  for (const std::string extension : {"", ".png", ".jpeg"}) {
    const std::string name = DatasetUploadName(digest, extension);
    EXPECT_TRUE(IsDatasetUpload(name)) << name;
    EXPECT_EQ(DatasetContentName(name), digest + extension);
    EXPECT_FALSE(IsDatasetInProgress(name));
    const std::string in_progress = DatasetInProgressName(name, 12);
    EXPECT_TRUE(IsDatasetInProgress(in_progress)) << in_progress;
    EXPECT_TRUE(IsInProgress(in_progress));
    EXPECT_FALSE(IsDatasetUpload(in_progress));
  }
  for (const std::string& name :
       {std::string(".upload"), std::string("notes.upload"), digest, digest + "0.upload",
        digest + "..upload", digest + ".a.b.upload", digest + ".upload.1", "X" + digest + ".upload",
        "g" + digest.substr(1) + ".upload", digest.substr(1) + ".upload"}) {
    EXPECT_FALSE(IsDatasetUpload(name)) << name;
  }
  for (const std::string& name :
       {digest + ".upload.prog", digest + ".upload..prog", digest + ".upload.x.prog",
        std::string("notes.upload.0.prog"), std::string(".prog"), std::string("0.prog")}) {
    EXPECT_FALSE(IsDatasetInProgress(name)) << name;
  }
}

}  // namespace
}  // namespace datamanager::capture_file
