#include "tests/simulation/scenario.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capture_file/file_name.h"
#include "capture_file/reader.h"
#include "tests/support/files.h"
#include "tests/support/wait_until.h"

namespace datamanager::simulation {
namespace {

using testing::Exists;
using testing::FilesBelow;
using testing::ReadFile;
using testing::UploadCall;
using testing::WriteFile;

constexpr std::string_view kGarbage = "\x7f this is no record";
constexpr std::string_view kEarlier = "an earlier one";
const char* const kNotes = "two lines ";
const char* const kMoreNotes = "and a third";

// When the camera of a round takes its second picture, and sensor "a" its first value.
int64_t RoundBegin(int round) { return 1000 + 100 * round; }
constexpr int64_t kSecondPicture = 40;

WallTime At(int64_t second) {
  SimulatedClock clock;
  clock.Set(second);
  return clock.WallNow();
}

// The record that the server refuses.
bool IsRefused(const UploadCall& call) {
  return std::any_of(call.records.begin(), call.records.end(),
                     [](const auto& record) { return record.binary().rfind("cam/2:", 0) == 0; });
}

bool HasRecord(const UploadCall& call, const std::string& id) {
  return std::any_of(call.records.begin(), call.records.end(), [&](const auto& record) {
    const auto& fields = record.struct_().fields();
    const auto text = fields.find("text");
    return text != fields.end() && text->second.string_value().rfind(id + ":", 0) == 0;
  });
}

// Another thread may remove it meanwhile.
bool IsWithoutAByte(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) != 0 || info.st_size == 0;
}

}  // namespace

std::string Places::CollectorDirectory(const std::string& collector) const {
  return capture_file::CollectorDirectory(captured, "rdk:component:sensor", collector, "Readings");
}

std::string Ledger::IdOf(const std::string& message) const {
  const auto found = ids_.find(message);
  return found == ids_.end() ? "" : found->second;
}

FileContents ReadCaptureFile(const std::string& path) {
  FileContents contents;
  FileOps& ops = FileOps::System();
  const UniqueFd fd(ops.Open(path.c_str(), O_RDONLY, 0));
  struct stat info {};
  if (ops.Fstat(fd.get(), &info) != 0) return contents;
  contents.bytes.resize(static_cast<size_t>(info.st_size));
  std::string& bytes = contents.bytes;
  EXPECT_TRUE(ReadExactly(ops, fd.get(), 0, bytes.size(), bytes.data()).ok()) << path;
  auto reader = capture_file::Reader::Open(ops, fd.get(), bytes.size());
  if (!reader.ok()) return contents;
  while (true) {
    const auto record = reader->Next();
    if (!record.ok() || !record->has_value()) break;
    contents.messages.push_back(bytes.substr((*record)->message.offset, (*record)->message.size));
  }
  contents.whole = reader->torn().ok();
  return contents;
}

Tally Count(const Ledger& ledger, const std::vector<UploadCall>& stored,
            const std::vector<std::string>& set_aside) {
  Tally tally;
  const auto count = [&](const std::string& message, std::map<std::string, int>& records) {
    const std::string id = ledger.IdOf(message);
    if (id.empty()) {
      ++tally.altered;
    } else {
      ++records[id];
    }
  };
  for (const UploadCall& call : stored) {
    if (!call.well_formed || !call.ended) ++tally.unreadable;
    for (const auto& record : call.records) count(record.SerializeAsString(), tally.stored);
    if (call.method == sync::UploadMethod::kFileUpload) tally.files.push_back(call.contents);
  }
  for (const std::string& path : set_aside) {
    for (const std::string& message : ReadCaptureFile(path).messages) count(message, tally.failed);
  }
  return tally;
}

std::vector<std::string> Waiting(const Places& places) {
  std::vector<std::string> waiting;
  const auto add = [&](const std::string& directory) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      waiting.push_back(entry->path().string());
    }
  };
  for (const std::string& collector : places.collectors) add(places.CollectorDirectory(collector));
  add(places.files);
  return waiting;
}

Scenario::Scenario(const std::string& base, std::shared_ptr<Logger> logger)
    : places_(base), logger_(std::move(logger)), disk_(places_.captured) {
  std::filesystem::create_directories(places_.captured);
  const auto known = [this](const Record& record) {
    ledger_.Add(record);
    ledger_.Acknowledge(record.id);
    return Framed(record.message);
  };
  const std::string old_head = Framed(MetadataOf("old", false));
  const std::string old = places_.CollectorDirectory("old") + "/";
  const std::string torn = Framed(TabularRecord("old", 3).message);
  WriteFile(old + capture_file::InProgressName(At(1)), old_head + known(TabularRecord("old", 1)) +
                                                           known(TabularRecord("old", 2)) +
                                                           torn.substr(0, torn.size() / 2));
  WriteFile(old + capture_file::InProgressName(At(2)), old_head);
  WriteFile(old + capture_file::CompleteName(At(3)),
            old_head + known(TabularRecord("old", 4)) + std::string(kGarbage));
  WriteFile(places_.files + "/notes.txt", kNotes);
  // Names that are taken: the first of "a", and where cam/2 is to be set aside.
  WriteFile(places_.CollectorDirectory("a") + "/" + capture_file::CompleteName(At(RoundBegin(0))),
            Framed(MetadataOf("a", false)) + known(TabularRecord("a", 1000)));
  WriteFile(capture_file::FailedPath(places_.captured, places_.CollectorDirectory("cam") + "/" +
                                                           capture_file::CompleteName(
                                                               At(RoundBegin(0) + kSecondPicture))),
            kEarlier);
  server_->OnCall([this](const UploadCall& call) { return Answer(call); });
}

absl::Status Scenario::Answer(const UploadCall& call) {
  if (IsRefused(call)) return absl::InvalidArgumentError("not this one");
  if (!was_busy_ && HasRecord(call, "a/3")) {
    was_busy_ = true;
    return absl::UnavailableError("busy");
  }
  if (!lost_a_reply_ && HasRecord(call, "a/1")) {
    lost_a_reply_ = true;
    server_->LoseNextReplies(1);
  }
  if (!grew_ && call.method == sync::UploadMethod::kFileUpload) {
    grew_ = true;
    std::ofstream(places_.files + "/notes.txt", std::ios::app) << kMoreNotes;
  }
  if (stored_) stored_(call);
  return absl::OkStatus();
}

void Scenario::Start() {
  process_ = nullptr;
  process_ =
      std::make_unique<RobotProcess>(RobotProcess::Options{.capture_directory = places_.captured,
                                                           .files_directory = places_.files,
                                                           .disk = &disk_,
                                                           .clock = &clock_,
                                                           .logger = logger_,
                                                           .uploader = uploader_});
}

void Scenario::Append(const Record& record, bool binary) {
  ledger_.Add(record);
  const std::string collector = record.id.substr(0, record.id.find('/'));
  if (process_->Append(collector, record, binary).ok()) ledger_.Acknowledge(record.id);
  Rest();
}

void Scenario::FlushLive() {
  if (!flushed_) return;
  disk_.SetFlaws(flaws_of_live_flushes_);
  process_->FlushLive();
  disk_.SetFlaws({});
  flushed_();
}

void Scenario::Run(int rounds) {
  EXPECT_TRUE(process_->Recover());
  Rest();
  for (int round = 0; round < rounds; ++round) {
    const int64_t begin = RoundBegin(round);
    const auto value = [&](const std::string& collector, int number, size_t size = 60) {
      Append(TabularRecord(collector, 100 * round + number, size));
    };
    clock_.Set(begin);
    value("a", 1);
    value("a", 2);
    value("b", 1);
    // Of "a" a full file, of "b" one that goes on growing, flushed or not.
    FlushLive();
    clock_.Set(begin + 20);
    value("a", 3);
    FlushLive();
    value("a", 4);
    clock_.Set(begin + 30);
    value("a", 5);
    Append(BinaryRecord("cam", 100 * round + 1, 2000), true);
    clock_.Set(begin + kSecondPicture);
    // Too long to be copied.
    Append(BinaryRecord("cam", 100 * round + 2, 20000), true);
    process_->Finish("a");
    Rest();
    clock_.Set(begin + 50);
    value("a", 6);
    FlushLive();
    value("b", 2, 6000);
    LookForTornFiles(Waiting(places_));
    process_->Sync();
    value("a", 7);
    FlushLive();
  }
}

void Scenario::RunBatch(int collectors) {
  EXPECT_TRUE(process_->Recover());
  Rest();
  for (int i = 0; i < collectors; ++i) places_.collectors.push_back(absl::StrCat("s", i));
  clock_.Set(RoundBegin(0));
  for (int number = 1; number <= 2; ++number) {
    for (int i = 0; i < collectors; ++i) {
      const std::string collector = absl::StrCat("s", i);
      const Record record = TabularRecord(collector, number);
      ledger_.Add(record);
      if (process_->Append(collector, record).ok()) ledger_.Acknowledge(record.id);
    }
    FlushLive();
  }
  process_->FinishTogether();
  Rest();
}

bool Scenario::Drain() {
  process_->FinishAll();
  Rest();
  std::vector<std::string> left;
  // Recovery comes back by itself, though not for what could be created but neither locked nor
  // removed: a file without a byte, which the next process removes.
  const bool recovered = testing::WaitUntil([&] {
    left = Waiting(places_);
    return std::all_of(left.begin(), left.end(), [](const std::string& path) {
      return !capture_file::IsInProgress(path) || IsWithoutAByte(path);
    });
  });
  LookForTornFiles(left);
  // By time and not by passes: recovery may hold a file for a moment after it has published it.
  const bool stored = testing::WaitUntil(
      [&] {
        process_->Sync();
        left = Waiting(places_);
        return std::all_of(left.begin(), left.end(), IsWithoutAByte);
      },
      drain_time_);
  return recovered && stored;
}

void Scenario::LookForTornFiles(const std::vector<std::string>& waiting) {
  for (const std::string& path : waiting) {
    if (!path.ends_with(capture_file::kCompleteSuffix)) continue;
    const FileContents contents = ReadCaptureFile(path);
    if (!contents.whole && !contents.bytes.ends_with(kGarbage)) torn_.push_back("torn: " + path);
  }
}

std::vector<std::string> Scenario::BrokenRules() const {
  std::vector<std::string> broken = torn_;
  std::vector<std::string> set_aside;
  for (std::string& path : FilesBelow(ParentPath(places_.captured))) {
    if (path.starts_with(places_.captured + "/failed/")) {
      set_aside.push_back(std::move(path));
    } else {
      broken.push_back("stuck: " + path);
    }
  }

  const Tally tally = Count(ledger_, server_->stored(), set_aside);
  std::map<std::string, int> all = tally.stored;
  for (const auto& [id, count] : tally.failed) all[id] += count;
  for (const auto& [id, count] : all) {
    if (count > 1) broken.push_back(absl::StrCat("twice: ", id));
  }
  for (const std::string& id : ledger_.acknowledged()) {
    if (all[id] == 0) broken.push_back("lost: " + id);
  }
  if (tally.altered > 0) broken.push_back(absl::StrCat("altered: ", tally.altered, " records"));
  if (tally.unreadable > 0) broken.emplace_back("the server was sent nonsense");

  const std::string notes = grew_ ? absl::StrCat(kNotes, kMoreNotes) : kNotes;
  const auto copies = std::count(tally.files.begin(), tally.files.end(), notes);
  if (copies != 1) broken.push_back(absl::StrCat("notes.txt is stored ", copies, " times"));

  bool rest = false;
  bool earlier = false;
  for (const std::string& path : set_aside) {
    const std::string bytes = ReadFile(path);
    rest = rest || bytes.ends_with(kGarbage);
    earlier = earlier || bytes == kEarlier;
  }
  if (!rest) broken.emplace_back("lost: the rest of the damaged file");
  if (!earlier) broken.emplace_back("overwritten: a file in failed/");
  return broken;
}

std::shared_ptr<Logger> ClosedLogger() {
  std::shared_ptr<Logger> logger = *Logger::Create([](const LogEntry&) {});
  logger->Close();
  return logger;
}

std::shared_ptr<testing::FakeUploader> PlainServer() {
  auto server = std::make_shared<testing::FakeUploader>();
  server->OnCall([](const UploadCall& call) {
    return IsRefused(call) ? absl::InvalidArgumentError("not this one") : absl::OkStatus();
  });
  return server;
}

}  // namespace datamanager::simulation
