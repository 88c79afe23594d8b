#include "sync/backlog.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace datamanager::sync {
namespace {

// The bits of an entry that tell the place; the rest is the time.
constexpr int kPlaceBits = 12;
// The earliest time in an entry: 1960, which leaves 2^52 µs, until 2102.
constexpr int64_t kEpochMicros = int64_t{-315619200} * 1000000;
constexpr uint64_t kTimes = uint64_t{1} << (64 - kPlaceBits);

}  // namespace

bool Backlog::FitsEntry(int64_t micros) {
  return micros >= kEpochMicros && static_cast<uint64_t>(micros - kEpochMicros) < kTimes;
}

Backlog::Entry Backlog::EntryOf(int64_t micros, int place) {
  return static_cast<uint64_t>(micros - kEpochMicros) << kPlaceBits | static_cast<uint64_t>(place);
}

int64_t Backlog::MicrosOf(Entry entry) {
  return static_cast<int64_t>(entry >> kPlaceBits) + kEpochMicros;
}

size_t Backlog::PlaceOf(Entry entry) { return entry & ((Entry{1} << kPlaceBits) - 1); }

std::optional<int> Backlog::AddDirectory(const std::string& root, const std::string& path) {
  if (const std::optional<int> known = FindDirectory(path); known.has_value()) return known;
  if (directories_.size() >= limits_.directories) return std::nullopt;
  const int number = static_cast<int>(directories_.size());
  directories_.push_back({.root = root, .path = path});
  numbers_.emplace(directories_.back().path, number);
  return number;
}

std::optional<int> Backlog::FindDirectory(const std::string& path) const {
  const auto found = numbers_.find(path);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

int Backlog::FindPlace(int directory, int16_t zone_minutes) const {
  int place = directories_[static_cast<size_t>(directory)].newest_place;
  while (place != -1 && places_[static_cast<size_t>(place)].zone_minutes != zone_minutes) {
    place = places_[static_cast<size_t>(place)].older;
  }
  return place;
}

bool Backlog::HasRoomForPlace() const {
  return places_.size() < std::min(limits_.directories, size_t{1} << kPlaceBits);
}

bool Backlog::Takes(int directory, const capture_file::CompleteStamp& stamp) const {
  return FitsEntry(stamp.micros) &&
         (HasRoomForPlace() || FindPlace(directory, stamp.zone_minutes) != -1);
}

bool Backlog::Add(int directory, const capture_file::CompleteStamp& stamp) {
  if (!FitsEntry(stamp.micros)) return false;
  int place = FindPlace(directory, stamp.zone_minutes);
  if (place == -1) {
    if (!HasRoomForPlace()) return false;
    place = static_cast<int>(places_.size());
    int& newest = directories_[static_cast<size_t>(directory)].newest_place;
    places_.push_back(
        {.directory = directory, .older = newest, .zone_minutes = stamp.zone_minutes});
    newest = place;
  }
  if (first_walk_) end_ = std::max(end_, stamp.micros);
  if (stamp.micros < begin_ || stamp.micros > end_) return true;
  const Entry entry = EntryOf(stamp.micros, place);
  if (entries_.size() < most_files_) {
    entries_.push_back(entry);
    if (entries_.size() == most_files_) std::make_heap(entries_.begin(), entries_.end());
  } else if (stamp.micros >= MicrosOf(entries_.front())) {
    LeaveOut(stamp.micros);
  } else {
    std::pop_heap(entries_.begin(), entries_.end());
    LeaveOut(MicrosOf(entries_.back()));
    entries_.back() = entry;
    std::push_heap(entries_.begin(), entries_.end());
  }
  return true;
}

void Backlog::LeaveOut(int64_t micros) { left_out_ = std::min(left_out_.value_or(micros), micros); }

void Backlog::Sort() {
  first_walk_ = false;
  std::sort(entries_.begin(), entries_.end(), std::greater<>());
  if (!left_out_.has_value()) return;
  // The next walk begins at what was left out, so that what is as old as that is left to it.
  const auto older = std::find_if(entries_.begin(), entries_.end(),
                                  [this](Entry entry) { return MicrosOf(entry) < *left_out_; });
  if (older != entries_.end()) {
    entries_.erase(entries_.begin(), older);
  } else {
    // More files of one instant than fit. The next pass meets the others.
    left_out_ = *left_out_ + 1;
  }
}

std::optional<Backlog::File> Backlog::Take() {
  if (entries_.empty()) return std::nullopt;
  const Entry entry = entries_.back();
  entries_.pop_back();
  const Place& place = places_[PlaceOf(entry)];
  name_.clear();
  capture_file::AppendCompleteName({.micros = MicrosOf(entry), .zone_minutes = place.zone_minutes},
                                   name_);
  return File{.directory = place.directory, .name = name_};
}

void Backlog::GoOn() {
  begin_ = *std::exchange(left_out_, std::nullopt);
  entries_.clear();
}

}  // namespace datamanager::sync
