#include "tests/simulation/medium.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include "base/file_ops.h"

namespace datamanager::simulation {
namespace {

using Kind = Change::Kind;

// The directory whose flush makes a change of a name last.
std::string DirectoryOf(const Change& change) {
  return ParentPath(change.kind == Kind::kRename ? change.to : change.path);
}

bool IsFlush(const Change& change) {
  switch (change.kind) {
    case Kind::kSyncFile:
    case Kind::kSyncDirectory:
    case Kind::kWriteBack:
    case Kind::kCommit:
    case Kind::kSyncAll:
      return true;
    default:
      return false;
  }
}

// Whether a journal has it: a name or a truncation.
bool IsJournaled(const Change& change) { return !IsFlush(change) && change.kind != Kind::kWrite; }

class Replay {
 public:
  explicit Replay(Image image) : image_(std::move(image)) {}

  void Apply(const Change& change) {
    switch (change.kind) {
      case Kind::kCreate:
        if (renamed_.contains(change.object)) break;
        Link(change.path, change.object);
        break;
      case Kind::kWrite:
        Write(change, change.data);
        break;
      case Kind::kTruncate:
        image_.contents[change.object].resize(change.offset);
        break;
      case Kind::kRename: {
        const auto from = image_.names.find(change.path);
        const bool there = from != image_.names.end() && from->second == change.object;
        if ((!there && !nameless_.contains(change.object)) || image_.names.contains(change.to)) {
          break;
        }
        if (there) image_.names.erase(from);
        renamed_.insert(change.object);
        Link(change.to, change.object);
        break;
      }
      case Kind::kUnlink: {
        const auto name = image_.names.find(change.path);
        if (name != image_.names.end() && name->second == change.object) image_.names.erase(name);
        nameless_.erase(change.object);
        break;
      }
      case Kind::kMkdir:
        image_.directories.insert(change.path);
        break;
      case Kind::kSyncFile:
      case Kind::kSyncDirectory:
      case Kind::kWriteBack:
      case Kind::kCommit:
      case Kind::kSyncAll:
        break;
    }
  }

  void Apply(const Change& change, Misfortune misfortune) {
    const size_t half = change.data.size() / 2;
    switch (misfortune) {
      case Misfortune::kLost:
        if (change.kind == Kind::kCreate) nameless_.insert(change.object);
        break;
      case Misfortune::kLate:
        if (change.kind == Kind::kCreate) nameless_.insert(change.object);
        late_.push_back(&change);
        break;
      case Misfortune::kZeroed:
        Write(change, std::string(change.data.size(), '\0'));
        break;
      case Misfortune::kHalfZeroed:
        Write(change, change.data.substr(0, half) + std::string(change.data.size() - half, '\0'));
        break;
      case Misfortune::kTorn:
        Write(change, change.data.substr(0, half));
        break;
    }
  }

  Image End() {
    for (const Change* change : late_) Apply(*change);
    // What lies in a directory that is not there cannot be reached.
    std::erase_if(image_.names,
                  [this](const auto& name) { return !Exists(ParentPath(name.first)); });
    return std::move(image_);
  }

 private:
  void Link(const std::string& path, uint64_t object) {
    if (image_.names.emplace(path, object).second) nameless_.erase(object);
  }
  void Write(const Change& change, std::string_view data) {
    std::string& bytes = image_.contents[change.object];
    if (bytes.size() < change.offset + data.size()) bytes.resize(change.offset + data.size());
    bytes.replace(change.offset, data.size(), data);
  }
  bool Exists(const std::string& directory) const {
    for (std::string above = directory; above != top_; above = ParentPath(above)) {
      if (!image_.directories.contains(above)) return false;
    }
    return true;
  }

  Image image_;
  // The directory in which the recorded one lies, which no change is about.
  const std::string top_ =
      image_.directories.empty() ? "" : ParentPath(*image_.directories.begin());
  std::set<uint64_t> nameless_;  // Files whose creation was lost, or is late.
  std::set<uint64_t> renamed_;
  std::vector<const Change*> late_;
};

}  // namespace

std::vector<Misfortune> MisfortunesOf(const Change& change) {
  switch (change.kind) {
    case Kind::kWrite:
      return {Misfortune::kLost, Misfortune::kZeroed, Misfortune::kHalfZeroed, Misfortune::kTorn};
    case Kind::kTruncate:
      return {Misfortune::kLost};
    case Kind::kCreate:
    case Kind::kRename:
    case Kind::kUnlink:
    case Kind::kMkdir:
      return {Misfortune::kLost, Misfortune::kLate};
    case Kind::kSyncFile:
    case Kind::kSyncDirectory:
    case Kind::kWriteBack:
    case Kind::kCommit:
    case Kind::kSyncAll:
      break;
  }
  return {};
}

std::vector<size_t> Unflushed(const std::vector<Change>& changes, size_t count,
                              size_t journal_end) {
  std::vector<size_t> unflushed;
  std::set<uint64_t> files;
  std::set<std::string> directories;  // Whose names are flushed.
  bool committed = false;
  for (size_t i = count; i-- > 0;) {
    const Change& change = changes[i];
    committed = committed || i < journal_end;
    switch (change.kind) {
      case Kind::kSyncFile:
        files.insert(change.object);
        break;
      case Kind::kSyncDirectory:
        directories.insert(change.path);
        break;
      case Kind::kCommit:
        committed = true;
        break;
      case Kind::kWriteBack:
        if (committed) files.insert(change.object);
        break;
      case Kind::kSyncAll:
        std::reverse(unflushed.begin(), unflushed.end());
        return unflushed;
      case Kind::kWrite:
        if (!files.contains(change.object)) unflushed.push_back(i);
        break;
      case Kind::kTruncate:
        if (!committed && !files.contains(change.object)) unflushed.push_back(i);
        break;
      case Kind::kCreate:
      case Kind::kRename:
      case Kind::kUnlink:
      case Kind::kMkdir:
        if (!committed && !directories.contains(DirectoryOf(change))) unflushed.push_back(i);
        break;
    }
  }
  std::reverse(unflushed.begin(), unflushed.end());
  return unflushed;
}

size_t LeastJournalEnd(const std::vector<Change>& changes, size_t count) {
  std::vector<size_t> unflushed = Unflushed(changes, count);
  for (size_t i = count; i-- > 0;) {
    if (!unflushed.empty() && unflushed.back() == i) {
      unflushed.pop_back();
    } else if (IsJournaled(changes[i])) {
      return i + 1;
    }
  }
  return 0;
}

std::map<size_t, Misfortune> LostBehindJournal(const std::vector<Change>& changes, size_t count,
                                               size_t journal_end) {
  std::map<size_t, Misfortune> lost;
  for (size_t i = journal_end; i < count; ++i) {
    if (IsJournaled(changes[i])) lost[i] = Misfortune::kLost;
  }
  return lost;
}

Image AfterPowerCut(Image image, const std::vector<Change>& changes, size_t count,
                    const std::map<size_t, Misfortune>& misfortunes) {
  Replay replay(std::move(image));
  for (size_t i = 0; i < count; ++i) {
    if (IsFlush(changes[i])) continue;
    const auto misfortune = misfortunes.find(i);
    if (misfortune == misfortunes.end()) {
      replay.Apply(changes[i]);
    } else {
      replay.Apply(changes[i], misfortune->second);
    }
  }
  return replay.End();
}

uint64_t Fingerprint(const Image& image) {
  uint64_t fingerprint = 0;
  const auto mix = [&](std::string_view text) {
    fingerprint = fingerprint * 0x9E3779B97F4A7C15 + std::hash<std::string_view>()(text);
  };
  for (const auto& [path, object] : image.names) {
    mix(path);
    const auto contents = image.contents.find(object);
    mix(contents == image.contents.end() ? std::string_view() : contents->second);
  }
  for (const std::string& directory : image.directories) mix(directory);
  return fingerprint;
}

void Materialise(const Image& image, const std::string& from, const std::string& to) {
  const auto moved = [&](const std::string& path) { return to + path.substr(from.size()); };
  // In the order of their names, a directory comes after the one that it lies in; if that is
  // missing, so is this.
  for (const std::string& directory : image.directories) {
    static_cast<void>(::mkdir(moved(directory).c_str(), 0700));
  }
  for (const auto& [path, object] : image.names) {
    const UniqueFd fd(::open(moved(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd.valid()) << path;
    const auto contents = image.contents.find(object);
    if (contents == image.contents.end()) continue;
    const auto size = static_cast<ssize_t>(contents->second.size());
    ASSERT_EQ(::write(fd.get(), contents->second.data(), contents->second.size()), size) << path;
  }
}

}  // namespace datamanager::simulation
