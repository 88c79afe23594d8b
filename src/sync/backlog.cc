#include "sync/backlog.h"

#include <algorithm>
#include <utility>

namespace datamanager::sync {

std::optional<int> Backlog::AddDirectory(const std::string& root, const std::string& path) {
  if (const std::optional<int> known = FindDirectory(path); known.has_value()) return known;
  if (directories_.size() >= limits_.directories) return std::nullopt;
  const int number = static_cast<int>(directories_.size());
  directories_.push_back({.root = root, .path = path});
  numbers_.emplace(path, number);
  return number;
}

std::optional<int> Backlog::FindDirectory(const std::string& path) const {
  const auto found = numbers_.find(path);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

void Backlog::Add(int directory, const capture_file::CompleteStamp& stamp) {
  if (first_walk_) end_ = std::max(end_, stamp.micros);
  if (stamp.micros < begin_ || stamp.micros > end_) return;
  if (entries_.size() < limits_.files) {
    entries_.push_back({stamp.micros, directory, stamp.zone_minutes});
    if (entries_.size() == limits_.files)
      std::make_heap(entries_.begin(), entries_.end(), &IsOlder);
    return;
  }
  if (stamp.micros >= entries_.front().micros) {
    LeaveOut(stamp.micros);
    return;
  }
  std::pop_heap(entries_.begin(), entries_.end(), &IsOlder);
  LeaveOut(entries_.back().micros);
  entries_.back() = {stamp.micros, directory, stamp.zone_minutes};
  std::push_heap(entries_.begin(), entries_.end(), &IsOlder);
}

void Backlog::LeaveOut(int64_t micros) { left_out_ = std::min(left_out_.value_or(micros), micros); }

void Backlog::Sort() {
  first_walk_ = false;
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return IsOlder(b, a); });
  if (!left_out_.has_value()) return;
  // The next walk begins at what was left out, so that what is as old as that is left to it.
  const auto older = std::find_if(entries_.begin(), entries_.end(),
                                  [this](const Entry& entry) { return entry.micros < *left_out_; });
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
  return File{.directory = entry.directory,
              .name = capture_file::CompleteName(
                  {.micros = entry.micros, .zone_minutes = entry.zone_minutes})};
}

void Backlog::GoOn() {
  begin_ = *std::exchange(left_out_, std::nullopt);
  entries_.clear();
}

}  // namespace datamanager::sync
