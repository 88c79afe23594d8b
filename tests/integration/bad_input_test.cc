// Sources that misbehave and capture files that are damaged: each is told, and disturbs nobody
// else.
#include <stdexcept>

#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

class BadSourceTest : public World {
 protected:
  BadSourceTest() { AddSensor("good", 100); }

  // The bad one has failed so often, and the good one works.
  void ExpectFailures(const std::string& name, const std::string& error, LogLevel level) {
    ASSERT_TRUE(WaitUntil([&] { return StatsOf(name).failed >= 3; })) << name;
    EXPECT_EQ(StatsOf(name).state, CollectorState::kRunning);
    EXPECT_TRUE(Has(StatsOf(name).last_error, error));
    EXPECT_TRUE(WaitUntil([&] { return log_.Count(error, level) >= 1; })) << log_.Text();
    EXPECT_TRUE(WaitForLog(absl::StrCat("error while capturing data: ", kSensor, "/", name)));
    ASSERT_TRUE(WaitForMore("good", 3));
  }
  void ExpectGoodArrives() {
    ASSERT_NO_FATAL_FAILURE(Drain());
    ExpectArrivedOnce("good");
    EXPECT_EQ(StatsOf("good").failed, 0U);
  }
};

TEST_F(BadSourceTest, OneThatThrows) {
  AddSensor("bad", 200, [this](const CaptureRequest&, Readings&) -> absl::Status {
    if (SourceOf("bad").Next() % 2 == 0) throw std::runtime_error("out of order");
    throw 42;  // NOLINT(hicpp-exception-baseclass): embedders do such things.
  });
  Start();
  ExpectFailures("bad", "the source threw", LogLevel::kWarning);
  EXPECT_TRUE(WaitForLog("the source threw: out of order"));
  EXPECT_TRUE(WaitForLog("something that is no std::exception"));
  EXPECT_GE(StatsOf("bad").source_errors, 3U);
  ExpectGoodArrives();
  EXPECT_EQ(CountFrom("bad"), 0);
}

TEST_F(BadSourceTest, OneThatReturnsAnErrorNowAndThen) {
  AddSensor("bad", 200, [this](const CaptureRequest&, Readings& out) -> absl::Status {
    static int calls = 0;
    if (++calls % 2 == 0) return absl::UnavailableError("bus fault");
    FillReadings(SourceOf("bad").Next(), out);
    return absl::OkStatus();
  });
  Start();
  ExpectFailures("bad", "bus fault", LogLevel::kWarning);
  EXPECT_TRUE(
      Has(StatsOf("bad").last_error, "failed to get reading of method Readings of component bad"));
  // Equal errors are told at most every 2 s.
  EXPECT_LE(log_.Count("bus fault"), 1 + StatsOf("bad").ticks_due / 400);
  ExpectGoodArrives();
  ExpectArrivedOnce("bad");
}

TEST_F(BadSourceTest, OneThatReturnsNothing) {
  AddSensor("empty", 100, [](const CaptureRequest&, Readings&) { return absl::OkStatus(); });
  sources_.AddImages("blind", [](const CaptureRequest&, Images&) { return absl::OkStatus(); });
  AddCollector("blind", 100, kCamera, "GetImages");
  sources_.AddImages("blank", [](const CaptureRequest&, Images& out) {
    out.Add().mime_type = "image/png";
    return absl::OkStatus();
  });
  AddCollector("blank", 100, kCamera, "ReadImage");
  Start();
  ASSERT_TRUE(WaitForCaptured("empty", 2));
  for (const char* name : {"blind", "blank"}) {
    ASSERT_TRUE(WaitUntil([&] { return StatsOf(name).failed >= 2; }));
    EXPECT_TRUE(Has(StatsOf(name).last_error, "capture result failed validation: binary result"));
  }
  ExpectGoodArrives();
  // No readings are readings too.
  const std::vector<ingest::Received> rows = ArrivedFrom("empty");
  ASSERT_GE(rows.size(), 2U);
  EXPECT_EQ(rows[0].json, R"({"readings":{}})");
  EXPECT_TRUE(ArrivedFrom("blind").empty());
  EXPECT_TRUE(ArrivedFrom("blank").empty());
}

TEST_F(BadSourceTest, APictureOf100MegabytesArrives) {
  sources_.AddImages("eye", [this](const CaptureRequest&, Images& out) -> absl::Status {
    if (SourceOf("eye").count() > 0) return absl::ResourceExhaustedError("one is enough");
    Image& image = out.Add();
    image.mime_type = "image/png";
    image.data = Picture(SourceOf("eye").Next(), 100000000);
    return absl::OkStatus();
  });
  AddCollector("eye", 10, kCamera, "GetImages");
  Start();
  ASSERT_TRUE(WaitForArrived("eye", 1, ingest::Kind::kBinary));
  ASSERT_TRUE(WaitForMore("good", 3));
  ExpectGoodArrives();
  ExpectArrivedOnce("eye");
  EXPECT_EQ(ArrivedFrom("eye").at(0).size, 100000000);
}

TEST_F(BadSourceTest, ReadingsThatNoServerAcceptsAreRefusedWhenCaptured) {
  AddSensor("huge", 10, [this](const CaptureRequest&, Readings& out) {
    const int seq = SourceOf("huge").Next();
    out.Set("text", std::string(seq == 1 ? 34 << 20 : 5 << 20, 'x'));
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("huge").failed == 1; }));
  EXPECT_TRUE(Has(StatsOf("huge").last_error, "is larger than the 33554432 a server accepts"));
  // One of 5 MB, more than what goes into a request beside others, arrives.
  ASSERT_TRUE(WaitForArrived("huge", 1));
  ExpectGoodArrives();
}

TEST_F(BadSourceTest, TextThatIsNotUtf8) {
  AddSensor("binary", 100, [](const CaptureRequest&, Readings& out) {
    out.Set("text", "\xff\xfe");
    return absl::OkStatus();
  });
  Start();
  ExpectFailures("binary", "UTF-8", LogLevel::kError);
  ExpectGoodArrives();
}

TEST_F(BadSourceTest, OneThatBlocksForever) {
  AddSensor("stuck", 100, Hanging("stuck"));
  options_.close_timeout = 0ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 2));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  const int64_t before = CountFrom("good");
  ASSERT_TRUE(WaitForMore("good", 5));
  ASSERT_TRUE(WaitForArrived("good", before + 5));
  // What it captured before is not held back.
  EXPECT_TRUE(WaitForArrived("stuck", Returned("stuck")));
  gate_->Open();
  ExpectGoodArrives();
  ExpectArrivedOnce("stuck");
  // The ticks that passed meanwhile are counted, not made up for.
  const CollectorStats stats = StatsOf("stuck");
  EXPECT_GT(stats.missed, 0U);
  EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed);
}

// A published capture file that somebody or something has damaged.
class BadFileTest : public World {
 protected:
  BadFileTest() { config_.sync_disabled = true; }

  // A whole file with records 1 to `records`, as an earlier run left it.
  std::string WholeFile(uint64_t records) {
    AddSensor("cpu", 200);
    CaptureOffline("cpu", records);
    config_.capture_disabled = true;
    const std::vector<std::string> files = OnDisk(".capture");
    EXPECT_EQ(files.size(), 1U);
    return files.empty() ? "" : files[0];
  }
  std::string FailedOf(const std::string& path) const {
    return config_.capture_dir + "/failed" + path.substr(config_.capture_dir.size());
  }
};

TEST_F(BadFileTest, EmptyIsRemovedWithAWarning) {
  const std::string path = DirectoryOf("cpu") + "/2026-01-02T03_04_05.000006Z.capture";
  WriteFile(path, "");
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitUntil([&] {
    return log_.Count("ignoring and deleting empty capture file without syncing it",
                      LogLevel::kWarning) == 1;
  }));
  EXPECT_TRUE(WaitForLog(path));
  EXPECT_TRUE(Arrived().empty());
}

TEST_F(BadFileTest, CutFile_LosesOnlyTheRecordThatWasNeverFinished) {
  const std::string path = WholeFile(5);
  const std::string whole = ReadFile(path);
  std::filesystem::resize_file(path, whole.size() - 3);
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(ReceivedBy("cpu"), UpTo(Returned("cpu") - 1));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitForLog("its last record was never finished"));
  EXPECT_EQ(manager_->Stats().salvage.unfinished_records, 1U);
}

TEST_F(BadFileTest, GarbageBehindWholeRecords_IsKept) {
  const std::string path = WholeFile(5);
  const std::string whole = ReadFile(path);
  // A length of 2^60 and zeros: nothing may be allocated for either.
  const std::string garbage = "\xff\xff\xff\xff\xff\xff\xff\xff\x0f";
  WriteFile(path, whole + garbage + std::string(5000, '\0'));
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  const std::string kept = absl::StrCat(FailedOf(path), ".cut-at-", whole.size(), ".prog");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{kept});
  EXPECT_EQ(ReadFile(kept), garbage);
  EXPECT_TRUE(WaitUntil([&] { return log_.Count("are kept as", LogLevel::kWarning) == 1; }));
  EXPECT_EQ(manager_->Stats().salvage.kept_remainders.bytes, garbage.size());
  // It never becomes a capture file again.
  ASSERT_TRUE(manager_->RetryFailed().ok());
  EXPECT_EQ(OnDisk(), std::vector<std::string>{kept});
}

// A server that cannot parse a request says no more than that it failed.
TEST_F(BadFileTest, DamagedInsideARecord_AllOthersArrive) {
  const std::string path = WholeFile(5);
  std::string bytes = ReadFile(path);
  const size_t text = bytes.find("reading \"3\"");
  ASSERT_NE(text, std::string::npos);
  bytes[text] = '\xff';  // No UTF-8.
  WriteFile(path, bytes);
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  ASSERT_TRUE(IsOk(SyncAll()));  // Includes the file with what was found behind the damage.
  std::vector<int> others = UpTo(Returned("cpu"));
  std::erase(others, 3);
  EXPECT_EQ(ReceivedBy("cpu"), others);
  const std::vector<std::string> left = OnDisk();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left[0].starts_with(FailedOf(path) + ".cut-at-")) << left[0];
  EXPECT_TRUE(Has(ReadFile(left[0]), "eading \"3\""));
  EXPECT_TRUE(WaitForLog("a record that does not parse"));
  EXPECT_EQ(manager_->Stats().salvage.records, others.size() - 2);
}

TEST_F(BadFileTest, GarbageIsSetAsideAndTheOthersFlow) {
  const std::string good = WholeFile(3);
  const std::vector<std::string> contents = {
      "this is no capture file",
      std::string(100, '\0'),
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9) + "x",
      std::string("\x05", 1),
      std::string(1000000, '\xff'),
  };
  std::vector<std::string> failed;
  for (size_t i = 0; i < contents.size(); ++i) {
    const std::string path =
        absl::StrCat(DirectoryOf("cpu"), "/2026-01-02T03_04_05.00000", i, "Z.capture");
    WriteFile(path, contents[i]);
    failed.push_back(FailedOf(path));
  }
  Start();
  EXPECT_TRUE(HasCode(absl::StatusCode::kInvalidArgument, SyncAll()));
  ExpectArrivedOnce("cpu");
  EXPECT_EQ(OnDisk(), failed);
  for (size_t i = 0; i < contents.size(); ++i) EXPECT_EQ(ReadFile(failed[i]), contents[i]);
  EXPECT_EQ(Uploads().unreadable, contents.size());
  EXPECT_TRUE(WaitUntil([&] {
    return log_.Count("moving file that data manager failed to sync", LogLevel::kWarning) ==
           contents.size();
  }));
}

TEST_F(BadFileTest, ACutPictureIsKeptAndNotSent) {
  AddCamera("eye", 100, {1200000, 500});
  CaptureOffline("eye", 2);
  config_.capture_disabled = true;
  const std::vector<std::string> files = OnDisk(".capture");
  ASSERT_GE(files.size(), 2U);
  const auto first = std::filesystem::file_size(files[0]);
  std::filesystem::resize_file(files[0], first - 100);
  Start();
  EXPECT_FALSE(SyncAll().ok());
  EXPECT_EQ(ArrivedFrom("eye").size(), files.size() - 1);
  EXPECT_EQ(OnDisk(), std::vector<std::string>{FailedOf(files[0])});
  EXPECT_EQ(std::filesystem::file_size(FailedOf(files[0])), first - 100);
}

// The time of a wall clock that was wrong, a name of an older version: any *.capture is uploaded.
TEST_F(BadFileTest, ANameThatIsNotOursIsNoFault) {
  const std::string path = WholeFile(3);
  std::filesystem::rename(path, config_.capture_dir + "/moved by hand.capture");
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

}  // namespace
}  // namespace datamanager::testing
