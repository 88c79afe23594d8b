#include "sync/backlog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace datamanager::sync {
namespace {

using capture_file::CompleteStamp;

CompleteStamp At(int64_t micros) {
  return {.micros = micros, .zone_minutes = CompleteStamp::kZulu};
}

// Walks with `Add`, takes everything, and walks again while there is more. Returns the times.
class BacklogTest : public ::testing::Test {
 protected:
  std::vector<int64_t> TakeAll(Backlog& backlog, const std::vector<int64_t>& files) {
    std::vector<int64_t> taken;
    const int directory = *backlog.AddDirectory("/root", "/root/dir");
    for (walks_ = 1;; ++walks_) {
      for (const int64_t micros : files) backlog.Add(directory, At(micros));
      backlog.Sort();
      while (auto file = backlog.Take()) {
        taken.push_back(capture_file::ParseComplete(file->name)->micros);
      }
      if (!backlog.more()) return taken;
      backlog.GoOn();
    }
  }

  int walks_ = 0;
};

TEST_F(BacklogTest, TakesTheOldestFirstWhateverTheOrder) {
  std::vector<int64_t> files(1000);
  for (size_t i = 0; i < files.size(); ++i) files[i] = static_cast<int64_t>(i) * 1000;
  std::vector<int64_t> shuffled = files;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(1));
  Backlog backlog({});
  EXPECT_EQ(TakeAll(backlog, shuffled), files);
  EXPECT_EQ(walks_, 1);
}

TEST_F(BacklogTest, WhatDoesNotFitComesWithTheNextWalks) {
  std::vector<int64_t> files(1000);
  for (size_t i = 0; i < files.size(); ++i) files[i] = static_cast<int64_t>(i);
  std::vector<int64_t> shuffled = files;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(2));
  Backlog backlog({.files = 100});
  EXPECT_EQ(TakeAll(backlog, shuffled), files);
  EXPECT_EQ(walks_, 10);
}

TEST_F(BacklogTest, FilesOfOneInstantAreTakenTogether) {
  Backlog backlog({.files = 3});
  EXPECT_EQ(TakeAll(backlog, {1, 2, 2, 2, 3, 3}), (std::vector<int64_t>{1, 2, 2, 2, 3, 3}));
}

TEST_F(BacklogTest, MoreFilesOfOneInstantThanFitLeaveNothingElseBehind) {
  Backlog backlog({.files = 2});
  EXPECT_EQ(TakeAll(backlog, {1, 2, 2, 2, 3}), (std::vector<int64_t>{1, 2, 2, 3}));
}

TEST_F(BacklogTest, WhatIsPublishedMeanwhileDoesNotMakeItEndless) {
  Backlog backlog({.files = 2});
  const int directory = *backlog.AddDirectory("/root", "/root/dir");
  int64_t newest = 5;
  int taken = 0;
  while (true) {
    for (int64_t i = 0; i < newest; ++i) backlog.Add(directory, At(i));
    backlog.Sort();
    while (backlog.Take().has_value()) {
      ++taken;
      ++newest;
    }
    if (!backlog.more()) break;
    backlog.GoOn();
    ASSERT_LT(taken, 100);
  }
  EXPECT_EQ(taken, 5);
}

TEST_F(BacklogTest, KeepsDirectoriesApartAndTheirNumber) {
  Backlog backlog({.directories = 2});
  const auto a = backlog.AddDirectory("/root", "/root/a");
  const auto b = backlog.AddDirectory("/root", "/root/b");
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_NE(a, b);
  EXPECT_EQ(backlog.AddDirectory("/root", "/root/a"), a);
  EXPECT_EQ(backlog.AddDirectory("/root", "/root/c"), std::nullopt);
  EXPECT_EQ(backlog.FindDirectory("/root/c"), std::nullopt);
  backlog.Add(*b, At(1));
  backlog.Add(*a, At(2));
  backlog.Sort();
  EXPECT_EQ(backlog.directory(backlog.Take()->directory).path, "/root/b");
  EXPECT_EQ(backlog.directory(backlog.Take()->directory).path, "/root/a");
}

TEST_F(BacklogTest, OneDirectoryMayHaveNamesOfSeveralZones) {
  Backlog backlog({});
  const int a = *backlog.AddDirectory("/root", "/root/a");
  const int b = *backlog.AddDirectory("/root", "/root/b");
  const std::vector<std::string> names = {
      "2026-10-25T02_30_00.000000+02_00.capture", "2026-10-25T02_30_00.000000+01_00.capture",
      "2026-10-25T01_30_00.000001Z.capture", "2026-10-25T04_00_00.000000+02_00.capture"};
  for (const std::string& name : names) {
    for (const int directory : {a, b}) {
      EXPECT_TRUE(backlog.Add(directory, *capture_file::ParseComplete(name)));
    }
  }
  backlog.Sort();
  for (const std::string& name : names) {
    std::set<int> directories;
    for (int i = 0; i < 2; ++i) {
      const auto file = backlog.Take();
      ASSERT_TRUE(file.has_value());
      EXPECT_EQ(file->name, name);
      directories.insert(file->directory);
    }
    EXPECT_EQ(directories.size(), 2U);
  }
}

TEST_F(BacklogTest, TellsWhatItHasNoRoomFor) {
  Backlog backlog({.directories = 2});
  const int directory = *backlog.AddDirectory("/root", "/root/dir");
  const auto in_zone = [](int16_t minutes) {
    return CompleteStamp{.micros = 0, .zone_minutes = minutes};
  };
  for (const int16_t zone : {60, 120, 60}) {
    EXPECT_TRUE(backlog.Takes(directory, in_zone(zone)));
    EXPECT_TRUE(backlog.Add(directory, in_zone(zone)));
  }
  EXPECT_FALSE(backlog.Takes(directory, in_zone(180)));
  EXPECT_FALSE(backlog.Add(directory, in_zone(180)));
  for (const char* year : {"0000", "1959", "2200", "9999"}) {
    const std::string name = std::string(year) + "-12-31T00_00_00.000000+01_00.capture";
    EXPECT_FALSE(backlog.Takes(directory, *capture_file::ParseComplete(name))) << name;
    EXPECT_FALSE(backlog.Add(directory, *capture_file::ParseComplete(name))) << name;
  }
  backlog.Sort();
  int taken = 0;
  while (backlog.Take().has_value()) ++taken;
  EXPECT_EQ(taken, 3);
}

TEST_F(BacklogTest, MayKeepFewerThanTheLimit) {
  const std::vector<int64_t> files = {5, 3, 1, 4, 2, 0};
  Backlog backlog({.files = 4});
  backlog.KeepAtMost(2);
  EXPECT_EQ(TakeAll(backlog, files), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(walks_, 3);
  Backlog larger({.files = 4});
  larger.KeepAtMost(100);
  EXPECT_EQ(TakeAll(larger, files), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(walks_, 2);
}

TEST_F(BacklogTest, MakesTheNameAgain) {
  for (const char* name : {
           "2026-01-02T03_04_05.000006-05_00.capture",
           "2026-01-02T03_04_05.000006+05_30.capture",
           "2026-01-02T03_04_05.999999Z.capture",
           "1969-12-31T23_59_59.999999Z.capture",
           "2024-02-29T23_59_59.000000+14_00.capture",
           "2026-01-01T00_00_00.000000+00_00.capture",
       }) {
    const auto stamp = capture_file::ParseComplete(name);
    ASSERT_TRUE(stamp.has_value()) << name;
    Backlog backlog({});
    backlog.Add(*backlog.AddDirectory("/root", "/root"), *stamp);
    backlog.Sort();
    EXPECT_EQ(backlog.Take()->name, name);
  }
  for (const char* name : {
           "2026-01-02T03_04_05.000006-00_00.capture",
           "2026-01-02T03_04_05.000006+01_75.capture",
           "2026-01-02T03_04_05.000006Z.prog",
           "2026-02-30T03_04_05.000006Z.capture",
           "2026-01-02T03_04_05.000006Z.capture.capture",
           "2026-01-02T03_04_05.000006Z1.capture",
           "copy of 2026-01-02T03_04_05.000006Z.capture",
           ".capture",
           "a.capture",
       }) {
    EXPECT_FALSE(capture_file::ParseComplete(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace datamanager::sync
