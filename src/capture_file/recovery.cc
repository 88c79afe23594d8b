#include "capture_file/recovery.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "capture_file/reader.h"
#include "capture_file/writer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture_file {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

// For file systems that cannot tell whether a file is open elsewhere.
constexpr std::chrono::minutes kLeftBehindAge{5};

enum class OpenElsewhere { kYes, kNo, kUnknown };

OpenElsewhere IsOpenElsewhere(FileOps& ops, int fd) {
  if (ops.TryLease(fd, F_WRLCK) == 0) return OpenElsewhere::kNo;
  return errno == EAGAIN ? OpenElsewhere::kYes : OpenElsewhere::kUnknown;
}

// Whether a server can parse the record. After a power cut, zeros can lie inside one whose outline
// is right, and a request that holds it would fail for ever, together with all its other records.
absl::StatusOr<bool> Parses(FileOps& ops, int fd, const Record& record) {
  const auto parse = [&](Extent extent, google::protobuf::MessageLite&& message) {
    std::string bytes(extent.size, '\0');
    absl::Status status =
        ReadExactly(ops, fd, static_cast<off_t>(extent.offset), bytes.size(), bytes.data());
    return status.ok() ? absl::StatusOr<bool>(message.ParseFromString(bytes)) : status;
  };
  if (record.metadata.size > kMaxMetadataBytes) return false;
  absl::StatusOr<bool> parses = parse(record.metadata, wire::SensorMetadata());
  if (!parses.ok() || !*parses || record.payload_kind == Record::Payload::kBinary) return parses;
  return parse(record.payload, google::protobuf::Struct());
}

// Where the last whole record ends; 0 if there is none. What does not even begin like a capture
// file is kept whole, for sync to set aside: it may be somebody's data.
absl::StatusOr<uint64_t> WholeSize(FileOps& ops, int fd, uint64_t size) {
  if (size == 0) return 0;
  absl::StatusOr<Reader> reader = Reader::Open(ops, fd, size);
  if (!reader.ok()) {
    if (absl::IsDataLoss(reader.status())) return size;
    return reader.status();
  }
  uint64_t whole = 0;
  while (true) {
    auto record = reader->Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) return whole;
    absl::StatusOr<bool> parses = Parses(ops, fd, **record);
    if (!parses.ok()) return parses.status();
    if (!*parses) return whole;
    whole = (*record)->frame.end();
  }
}

}  // namespace

absl::StatusOr<Recovery> RecoverFile(FileOps& ops, const std::string& path, WallTime now) {
  if (!IsInProgress(BaseName(path)) || !ParseStamp(BaseName(path)).has_value()) return Recovery{};
  absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDWR);
  if (!fd.ok()) {
    // Gone: its owner has just published it. A link is nothing that we made.
    if (absl::IsNotFound(fd.status())) return Recovery{};
    struct stat link {};
    if (ops.Lstat(path.c_str(), &link) == 0 && !S_ISREG(link.st_mode)) return Recovery{};
    return fd.status();
  }
  struct stat info {};
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) return Recovery{};
  if (ops.TryLock(fd->get()) != 0) {
    if (errno == EWOULDBLOCK) return Recovery{.outcome = RecoveryOutcome::kInUse};
    return ErrnoStatus(errno, "lock", path);
  }
  // Its owner may have published it, and another file may have taken its name, before we had the
  // lock.
  struct stat named {};
  if (ops.Lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return Recovery{};
    return ErrnoStatus(errno, "look at", path);
  }
  if (FileId::Of(named) != FileId::Of(info)) return Recovery{};
  switch (IsOpenElsewhere(ops, fd->get())) {
    case OpenElsewhere::kYes:
      return Recovery{.outcome = RecoveryOutcome::kInUse};
    case OpenElsewhere::kUnknown:
      if (now - std::chrono::system_clock::from_time_t(info.st_mtime) < kLeftBehindAge) {
        return Recovery{.outcome = RecoveryOutcome::kInUse};
      }
      break;
    case OpenElsewhere::kNo:
      break;
  }
  // The size from before the lock may be old.
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  const auto size = static_cast<uint64_t>(info.st_size);
  absl::StatusOr<uint64_t> whole = WholeSize(ops, fd->get(), size);
  if (!whole.ok()) return Wrap(whole.status(), path);

  Recovery recovery{.cut_bytes = size - *whole};
  if (*whole == 0) {
    if (ops.Unlink(path.c_str()) != 0) return ErrnoStatus(errno, "remove", path);
    recovery.outcome = RecoveryOutcome::kRemovedEmpty;
    return recovery;
  }
  if (*whole < size && ops.Ftruncate(fd->get(), static_cast<off_t>(*whole)) != 0) {
    return ErrnoStatus(errno, "cut", path);
  }
  if (ops.Fdatasync(fd->get()) != 0) return ErrnoStatus(errno, "flush", path);
  absl::StatusOr<std::string> published = PublishPath(ops, path);
  if (!published.ok()) return published.status();
  if (absl::Status status = SyncDirectory(ops, ParentPath(*published)); !status.ok()) return status;
  recovery.outcome = RecoveryOutcome::kPublished;
  recovery.path = *std::move(published);
  return recovery;
}

}  // namespace datamanager::capture_file
