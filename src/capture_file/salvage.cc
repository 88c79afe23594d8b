#include "capture_file/salvage.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/format.h"
#include "capture_file/record_check.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture_file {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

constexpr uint64_t kWindowBytes = 64 << 10;
// How many bytes are examined to recognize the start of a record. Its metadata, without
// annotations, takes 30 bytes.
constexpr uint64_t kHeadBytes = 4 << 10;
// Bounds the search: a file is checked for records a few times over at most, however many of its
// bytes look like records.
constexpr uint64_t kWorkPerByte = 8;
constexpr uint64_t kLeastWork = 16 << 20;
constexpr uint64_t kWorkPerFrame = 64;
// How much work is done between two calls of `keep_going`.
constexpr uint64_t kWorkPerQuestion = 64 << 10;
// Shorter frames hold no times and no payload.
constexpr uint64_t kLeastRecordBytes = 6;
// Tolerance for the clocks of file systems, which are coarse.
constexpr int64_t kSlackMicros = 60 * int64_t{1000000};

// Tags of the fields of a SensorData.
constexpr char kMetadataTag = 0x0a;
constexpr char kStructTag = 0x12;
constexpr char kBinaryTag = 0x1a;

int64_t MicrosOf(WallTime time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// Whether these bytes are the beginning of a varint that continues.
bool IsBegunVarint(std::string_view bytes) {
  return bytes.size() < kMaxVarintBytes &&
         std::all_of(bytes.begin(), bytes.end(), [](char c) { return (c & 0x80) != 0; });
}

// Whether `frame` can be a part of a text, from any position in it to its end or to another letter.
bool CanBeText(std::string_view frame) {
  const auto continues = [](char c) { return (c & 0xc0) == 0x80; };
  for (int skipped = 0; skipped < 3 && !frame.empty() && continues(frame.front()); ++skipped) {
    frame.remove_prefix(1);
  }
  return IsUtf8(frame);
}

// A stretch of time that includes both its ends.
struct Span {
  int64_t from = std::numeric_limits<int64_t>::max();
  int64_t to = std::numeric_limits<int64_t>::min();

  bool empty() const { return from > to; }
  bool Contains(int64_t time) const { return from <= time && time <= to; }
  void Include(int64_t time) {
    from = std::min(from, time);
    to = std::max(to, time);
  }
  Span Widened(int64_t before, int64_t after) const {
    return empty() ? *this : Span{.from = from - before, .to = to + after};
  }
};

// A part of the file in memory.
class Window {
 public:
  Window(FileOps& ops, int fd, uint64_t size) : ops_(ops), fd_(fd), size_(size) {}

  // Returns the bytes from `position` on that are in the window. Moves the window if it holds
  // neither the first `least` of them nor all that the file has.
  absl::StatusOr<std::string_view> At(uint64_t position, uint64_t least) {
    least = std::min(least, size_ - position);
    if (position < begin_ || position + least > begin_ + bytes_.size()) {
      const uint64_t count = std::min(std::max(least, kWindowBytes), size_ - position);
      bytes_.resize(count);
      begin_ = position;
      absl::Status status =
          ReadExactly(ops_, fd_, static_cast<off_t>(position), count, bytes_.data());
      if (!status.ok()) {
        bytes_.clear();
        return status;
      }
    }
    return std::string_view(bytes_).substr(position - begin_);
  }

 private:
  FileOps& ops_;
  const int fd_;
  const uint64_t size_;
  uint64_t begin_ = 0;
  std::string bytes_;
};

// The result of examining bytes as the beginning of a SensorData.
struct Head {
  enum class Kind : uint8_t {
    kNone,  // They are something else.
    kCut,   // A beginning that continues behind the visible bytes.
    kHead,  // A beginning up to the payload.
  };
  Kind kind = Kind::kNone;
  uint64_t end = 0;      // With kHead: where the payload ends.
  bool in_span = false;  // With kHead: whether records of the file can have its times.
};

class Finder {
 public:
  Finder(FileOps& ops, int fd, uint64_t size, const SalvageOptions& options)
      : ops_(ops),
        fd_(fd),
        size_(size),
        options_(options),
        scanned_(ops, fd, size),
        looked_at_(ops, fd, size),
        work_left_(kLeastWork +
                   kWorkPerByte * std::min(size, std::numeric_limits<uint64_t>::max() / 16)) {}

  absl::StatusOr<Salvage> Run();

 private:
  // A chain of whole records behind damage.
  struct Chain {
    Extent extent;
    uint64_t records = 0;
    int64_t first = 0;  // The times of its first and last record.
    int64_t last = 0;
    bool certain = false;  // Its start follows from lengths and from bytes that are certain.
  };
  struct Whole {
    uint64_t end = 0;
    int64_t time = 0;
  };

  // Whether they cannot both be right. A source may give all its records the same time, so that
  // alone does not put one in doubt whose place is certain.
  static bool AreOutOfOrder(const Chain& earlier, const Chain& later) {
    return later.certain ? earlier.last > later.first : earlier.last >= later.first;
  }

  absl::Status ReadBeginning(Salvage& salvage);
  // Adds it to chains_, unless it is out of order with one there; or drops that one.
  void AddInOrder(const Chain& chain);
  absl::StatusOr<std::optional<Chain>> ChainBehind(uint64_t damage);
  absl::StatusOr<std::optional<Chain>> Scan(uint64_t damage);
  absl::StatusOr<std::optional<Chain>> Follow(uint64_t begin, bool certain);
  absl::StatusOr<std::optional<Whole>> WholeAt(uint64_t position);
  absl::StatusOr<Head> HeadAt(uint64_t position);
  // Whether a record begins at `position` that, by all its lengths, continues behind the file's
  // end.
  absl::StatusOr<bool> IsUnfinished(uint64_t position);
  // Whether the message from `begin` to `end` is that of a frame that begins at `position` or
  // later.
  absl::StatusOr<bool> HasFrameBefore(uint64_t position, uint64_t begin, uint64_t end);
  // Returns where the message of the frame at `position` begins, and the length that the frame
  // gives.
  absl::StatusOr<std::optional<Extent>> MessageAt(uint64_t position);
  absl::Status Divide(Salvage& salvage);
  // `extent` without the zeros at both its ends.
  absl::StatusOr<Extent> WithoutZeros(Extent extent);

  bool InSpan(const RecordTimes& times) const {
    const auto fits = [this](const std::optional<int64_t>& time) {
      return !time.has_value() || by_name_.Contains(*time) || by_records_.Contains(*time);
    };
    return times.order().has_value() && fits(times.requested) && fits(times.received);
  }
  // Whether a frame may begin with these bytes.
  bool LooksLikeAFrame(std::string_view bytes) const {
    uint64_t message = 0;
    uint64_t metadata = 0;
    const char* const end = bytes.data() + bytes.size();
    const char* p = ReadVarint(bytes.data(), end, &message);
    if (p == nullptr || p == end || *p != kMetadataTag || message < kLeastRecordBytes - 1 ||
        message > MostBytes()) {
      return false;
    }
    p = ReadVarint(p + 1, end, &metadata);
    return p != nullptr && p != end && metadata < message &&
           (*p == kMetadataTag || *p == kStructTag);
  }
  uint64_t MostBytes() const { return binary_ ? kMaxBinaryRecordBytes : kMaxTabularRecordBytes; }
  // Counts work. CANCELLED if the caller ends it.
  absl::Status Charge(uint64_t work) {
    asked_after_ += work;
    if (asked_after_ < kWorkPerQuestion) return absl::OkStatus();
    asked_after_ = 0;
    if (GoesOn(options_.keep_going)) return absl::OkStatus();
    return absl::CancelledError("the search for whole records was ended");
  }

  FileOps& ops_;
  const int fd_;
  const uint64_t size_;
  const SalvageOptions& options_;
  Window scanned_;
  Window looked_at_;
  std::optional<Reader> reader_;
  bool binary_ = false;
  Span by_name_;     // Times that records can have, by when the file was begun and written to,
  Span by_records_;  // and by its first records.
  // The time of the last record that is certainly whole, and of the last one before any damage.
  std::optional<int64_t> latest_;
  std::optional<int64_t> latest_at_beginning_;
  std::vector<Chain> chains_;
  // Whether the bytes before the damage under examination are certainly whole.
  bool certain_ = true;
  bool doubted_ = false;  // Some bytes parsed as a record, but may be text.
  // The file's end cuts off a record that seems to hold whole ones.
  bool unfinished_holds_records_ = false;
  uint64_t work_left_;
  uint64_t asked_after_ = 0;
};

// Reads the metadata and the whole records behind it.
absl::Status Finder::ReadBeginning(Salvage& salvage) {
  absl::StatusOr<Reader> reader = Reader::Open(ops_, fd_, size_);
  if (!reader.ok()) {
    if (!absl::IsDataLoss(reader.status())) return reader.status();
    salvage.damage = reader.status();
    return absl::OkStatus();
  }
  reader_ = *std::move(reader);
  wire::DataCaptureMetadata metadata;
  const bool parses = metadata.ParseFromString(reader_->metadata());
  binary_ = metadata.type() == wire::DATA_TYPE_BINARY_SENSOR;
  const bool known = parses && (binary_ || metadata.type() == wire::DATA_TYPE_TABULAR_SENSOR);
  Span times;
  uint64_t end = reader_->position();
  while (true) {
    auto record = reader_->Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) {
      salvage.damage = reader_->torn();
      break;
    }
    RecordTimes found;
    absl::StatusOr<bool> whole = Parses(*reader_, **record, &found);
    if (!whole.ok()) return whole.status();
    if (options_.damaged_at.has_value()) {
      whole = (*record)->frame.end() <= *options_.damaged_at;
    } else if (known && ((*record)->payload_kind == Record::Payload::kBinary) != binary_) {
      salvage.damage = absl::DataLossError(
          absl::StrCat("at byte ", end, ": a record of another kind than the file's"));
      break;
    }
    if (!*whole) {
      salvage.damage = UnparsableRecord(**record);
      break;
    }
    ++salvage.whole_records;
    end = reader_->position();
    if (found.order().has_value()) {
      times.Include(*found.order());
      latest_ = latest_at_beginning_ = found.order();
    }
    if (absl::Status status =
            Charge((*record)->payload_kind == Record::Payload::kBinary ? kWorkPerFrame
                                                                       : (*record)->frame.size);
        !status.ok()) {
      return status;
    }
  }
  if (salvage.damage.ok()) {
    salvage.metadata = reader_->metadata_frame();
    salvage.whole_end = size_;
    return absl::OkStatus();
  }
  // Zeros in place of the metadata parse as metadata without a field.
  if (!known && salvage.whole_records == 0) {
    reader_.reset();
    return absl::OkStatus();
  }
  salvage.metadata = reader_->metadata_frame();
  salvage.whole_end = end;
  if (!known) reader_.reset();
  const int64_t changed = MicrosOf(options_.changed);
  const int64_t begun = options_.begun.has_value() ? MicrosOf(*options_.begun)
                        : times.empty()            ? changed
                                                   : times.from;
  if (options_.begun.has_value()) {
    by_name_.Include(begun);
    by_name_.Include(changed);
    by_name_ = by_name_.Widened(kSlackMicros, kSlackMicros);
  }
  by_records_ =
      times.Widened(kSlackMicros, std::max(changed - begun, begun - changed) + kSlackMicros);
  return absl::OkStatus();
}

absl::StatusOr<Salvage> Finder::Run() {
  Salvage salvage;
  if (size_ == 0) return salvage;
  if (absl::Status status = ReadBeginning(salvage); !status.ok()) return status;
  if (salvage.damage.ok()) return salvage;
  uint64_t damage = salvage.whole_end;
  while (reader_.has_value() && chains_.size() < kMaxRuns) {
    absl::StatusOr<std::optional<Chain>> chain = ChainBehind(damage);
    if (!chain.ok()) return chain.status();
    if (!chain->has_value()) break;
    damage = (*chain)->extent.end();
    AddInOrder(**chain);
    if (damage == size_) break;
  }
  for (const Chain& chain : chains_) {
    salvage.runs.push_back(chain.extent);
    salvage.run_records += chain.records;
  }
  if (absl::Status status = Divide(salvage); !status.ok()) return status;
  return salvage;
}

// A page that was written twice may begin, by chance, right where a length leads.
void Finder::AddInOrder(const Chain& chain) {
  certain_ = chain.certain;
  while (!chains_.empty() && AreOutOfOrder(chains_.back(), chain)) {
    // Of two that are certain, the shorter one is the copy, as a rule.
    if (chain.certain && chain.records < chains_.back().records) {
      certain_ = false;
      return;
    }
    chains_.pop_back();
  }
  if (certain_) latest_ = chain.last;
  chains_.push_back(chain);
}

absl::StatusOr<std::optional<Finder::Chain>> Finder::ChainBehind(uint64_t damage) {
  // Try the end that the damaged record's own length gives,
  absl::StatusOr<std::optional<Extent>> message = MessageAt(damage);
  if (!message.ok()) return message.status();
  if (message->has_value() && (*message)->end() <= size_) {
    if ((*message)->end() == size_) return std::nullopt;
    absl::StatusOr<std::optional<Chain>> chain = Follow((*message)->end(), certain_);
    if (!chain.ok() || chain->has_value()) return chain;
  }
  // then the end that its payload's length gives; damage may have moved that length by some bytes.
  for (uint64_t skipped = 1; skipped <= 5 && damage + skipped < size_; ++skipped) {
    absl::StatusOr<Head> head = HeadAt(damage + skipped);
    if (!head.ok()) return head.status();
    if (head->kind != Head::Kind::kHead || !head->in_span || head->end > size_) continue;
    absl::StatusOr<bool> another = HasFrameBefore(damage + 1, damage + skipped, head->end);
    if (!another.ok()) return another.status();
    if (*another) break;
    if (head->end == size_) return std::nullopt;
    absl::StatusOr<std::optional<Chain>> chain = Follow(head->end, certain_);
    if (!chain.ok() || chain->has_value()) return chain;
  }
  doubted_ = false;
  absl::StatusOr<std::optional<Chain>> chain = Scan(damage);
  if (!chain.ok()) return chain;
  // A payload contains no records, wherever the file ends.
  absl::StatusOr<bool> unfinished = IsUnfinished(damage);
  if (!unfinished.ok()) return unfinished.status();
  if (!*unfinished || (!chain->has_value() && !doubted_)) return chain;
  unfinished_holds_records_ = true;
  return std::nullopt;
}

// Tries each byte behind the damage. Not used for a binary file, because a payload of bytes can
// look like anything, whereas bytes that look like a record are hardly ever UTF-8, as all text of a
// tabular record is.
absl::StatusOr<std::optional<Finder::Chain>> Finder::Scan(uint64_t damage) {
  if (binary_) return std::nullopt;
  for (uint64_t position = damage + 1; position + kLeastRecordBytes <= size_;) {
    absl::StatusOr<std::string_view> bytes = scanned_.At(position, kHeadBytes);
    if (!bytes.ok()) return bytes.status();
    // For all positions except the last ones, the bytes that follow are visible.
    const bool all = position + bytes->size() == size_;
    const size_t count = all ? bytes->size() : bytes->size() - kHeadBytes + 1;
    if (absl::Status status = Charge(count); !status.ok()) return status;
    for (size_t i = 0; i < count; ++i) {
      if ((*bytes)[i] == '\0') continue;
      if (!LooksLikeAFrame(bytes->substr(i))) continue;
      absl::StatusOr<std::optional<Chain>> chain = Follow(position + i, false);
      if (!chain.ok() || chain->has_value()) return chain;
      if (work_left_ == 0) return std::nullopt;
    }
    position += count;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<Finder::Chain>> Finder::Follow(uint64_t begin, bool certain) {
  Chain chain{.extent = {begin, 0}, .certain = certain};
  uint64_t position = begin;
  while (position < size_) {
    absl::StatusOr<std::optional<Whole>> whole = WholeAt(position);
    if (!whole.ok()) return whole.status();
    if (!whole->has_value() || work_left_ == 0) break;
    if (chain.records++ == 0) {
      chain.first = (*whole)->time;
      if (certain) {
        if (latest_at_beginning_.has_value() && chain.first < *latest_at_beginning_) {
          return std::nullopt;
        }
      } else {
        if (latest_.has_value() && chain.first <= *latest_) return std::nullopt;
        std::string frame((*whole)->end - position, '\0');
        absl::Status status = reader_->Read({position, frame.size()}, frame.data());
        if (!status.ok()) return status;
        if (CanBeText(frame)) {
          doubted_ = true;
          return std::nullopt;
        }
      }
    }
    chain.last = (*whole)->time;
    position = (*whole)->end;
  }
  if (chain.records == 0) return std::nullopt;
  chain.extent.size = position - begin;
  return chain;
}

absl::StatusOr<std::optional<Finder::Whole>> Finder::WholeAt(uint64_t position) {
  reader_->Seek(position);
  auto record = reader_->Next();
  if (!record.ok()) return record.status();
  uint64_t work = kWorkPerFrame;
  std::optional<Whole> whole;
  if (record->has_value() && ((*record)->payload_kind == Record::Payload::kBinary) == binary_ &&
      (*record)->metadata.size > 0) {
    // Check the metadata first: bytes that only look like a record rarely have times that fit.
    const Extent& metadata = (*record)->metadata;
    bool fits = metadata.size <= kMaxMetadataBytes;
    if (fits) {
      std::string bytes(metadata.size, '\0');
      if (absl::Status status = reader_->Read(metadata, bytes.data()); !status.ok()) return status;
      const std::optional<RecordTimes> times = TimesOf(bytes);
      fits = times.has_value() && InSpan(*times);
      if (fits) whole = Whole{.end = (*record)->frame.end(), .time = *times->order()};
    }
    work += metadata.size;
    if (fits && !binary_) {
      absl::StatusOr<bool> parses = Parses(*reader_, **record);
      if (!parses.ok()) return parses.status();
      if (!*parses) whole.reset();
      work += (*record)->frame.size;
    }
  }
  work_left_ -= std::min(work_left_, work);
  if (absl::Status status = Charge(work); !status.ok()) return status;
  return whole;
}

absl::StatusOr<Head> Finder::HeadAt(uint64_t position) {
  if (position >= size_) return Head{.kind = Head::Kind::kCut};
  absl::StatusOr<std::string_view> bytes = looked_at_.At(position, kHeadBytes);
  if (!bytes.ok()) return bytes.status();
  const char* const begin = bytes->data();
  const char* const end = begin + bytes->size();
  if (*begin != kMetadataTag) return Head{};
  uint64_t size = 0;
  const char* p = ReadVarint(begin + 1, end, &size);
  if (p == nullptr) {
    return Head{.kind = IsBegunVarint(bytes->substr(1)) ? Head::Kind::kCut : Head::Kind::kNone};
  }
  if (size == 0 || size > kHeadBytes - 32) return Head{};
  if (size > static_cast<uint64_t>(end - p)) {
    const bool like = p == end || *p == kMetadataTag || *p == kStructTag;
    return Head{.kind = like ? Head::Kind::kCut : Head::Kind::kNone};
  }
  const std::optional<RecordTimes> times = TimesOf(std::string_view(p, size));
  if (!times.has_value()) return Head{};
  p += size;
  if (p == end) return Head{.kind = Head::Kind::kCut};
  if (*p != (binary_ ? kBinaryTag : kStructTag)) return Head{};
  const char* const payload = ReadVarint(p + 1, end, &size);
  if (payload == nullptr) {
    const bool begun = IsBegunVarint(std::string_view(p + 1, static_cast<size_t>(end - p - 1)));
    return Head{.kind = begun ? Head::Kind::kCut : Head::Kind::kNone};
  }
  if (size > MostBytes()) return Head{};
  return Head{.kind = Head::Kind::kHead,
              .end = position + static_cast<uint64_t>(payload - begin) + size,
              .in_span = InSpan(*times)};
}

absl::StatusOr<std::optional<Extent>> Finder::MessageAt(uint64_t position) {
  absl::StatusOr<std::string_view> bytes = looked_at_.At(position, kMaxVarintBytes);
  if (!bytes.ok()) return bytes.status();
  uint64_t size = 0;
  const char* const end = ReadVarint(bytes->data(), bytes->data() + bytes->size(), &size);
  if (end == nullptr || size == 0 || size > MostBytes()) return std::nullopt;
  return Extent{position + static_cast<uint64_t>(end - bytes->data()), size};
}

absl::StatusOr<bool> Finder::HasFrameBefore(uint64_t position, uint64_t begin, uint64_t end) {
  for (; position < begin; ++position) {
    absl::StatusOr<std::optional<Extent>> message = MessageAt(position);
    if (!message.ok()) return message.status();
    if (message->has_value() && (*message)->offset == begin && (*message)->end() == end) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<bool> Finder::IsUnfinished(uint64_t position) {
  absl::StatusOr<std::string_view> bytes = looked_at_.At(position, kMaxVarintBytes);
  if (!bytes.ok()) return bytes.status();
  if (position + bytes->size() == size_ && IsBegunVarint(*bytes)) return true;
  absl::StatusOr<std::optional<Extent>> message = MessageAt(position);
  if (!message.ok()) return message.status();
  if (!message->has_value() || (*message)->end() <= size_) return false;
  absl::StatusOr<Head> head = HeadAt((*message)->offset);
  if (!head.ok()) return head.status();
  return head->kind == Head::Kind::kCut ||
         (head->kind == Head::Kind::kHead && head->end == (*message)->end());
}

// Divides the bytes between the whole records among the other parts of the salvage.
absl::Status Finder::Divide(Salvage& salvage) {
  uint64_t begin = salvage.whole_end;
  for (size_t i = 0; i <= salvage.runs.size() && begin < size_; ++i) {
    const bool last = i == salvage.runs.size();
    const uint64_t end = last ? size_ : salvage.runs[i].offset;
    absl::StatusOr<Extent> rest = WithoutZeros({begin, end - begin});
    if (!rest.ok()) return rest.status();
    if (rest->size > 0) {
      absl::StatusOr<bool> unfinished = false;
      if (last && reader_.has_value() && !unfinished_holds_records_) {
        unfinished = IsUnfinished(begin);
        if (!unfinished.ok()) return unfinished.status();
      }
      if (*unfinished) {
        salvage.unfinished = {begin, end - begin};
      } else {
        salvage.remainders.push_back(*rest);
      }
    }
    if (!last) begin = salvage.runs[i].end();
  }
  return absl::OkStatus();
}

absl::StatusOr<Extent> Finder::WithoutZeros(Extent extent) {
  Extent rest{extent.end(), 0};
  for (uint64_t position = extent.offset; position < extent.end();) {
    absl::StatusOr<std::string_view> bytes = looked_at_.At(position, 1);
    if (!bytes.ok()) return bytes.status();
    const std::string_view part = bytes->substr(0, extent.end() - position);
    const size_t first = part.find_first_not_of('\0');
    if (first != std::string_view::npos) {
      if (rest.size == 0) rest.offset = position + first;
      rest.size = position + part.find_last_not_of('\0') + 1 - rest.offset;
    }
    position += part.size();
    if (absl::Status status = Charge(part.size()); !status.ok()) return status;
  }
  return rest;
}

}  // namespace

uint64_t Salvage::remainder_bytes() const {
  uint64_t bytes = 0;
  for (const Extent& extent : remainders) bytes += extent.size;
  return bytes;
}

absl::StatusOr<Salvage> FindWholeRecords(FileOps& ops, int fd, uint64_t size,
                                         const SalvageOptions& options) {
  return Finder(ops, fd, size, options).Run();
}

}  // namespace datamanager::capture_file
