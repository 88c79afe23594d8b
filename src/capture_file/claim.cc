#include "capture_file/claim.h"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/format.h"
#include "capture_file/reader.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture_file {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

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

}  // namespace

absl::StatusOr<Claim> ClaimFile(FileOps& ops, const std::string& path) {
  absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDWR);
  if (!fd.ok()) {
    // Gone: its owner has just published it. A link is nothing that we made.
    if (absl::IsNotFound(fd.status())) return Claim{};
    struct stat link {};
    if (ops.Lstat(path.c_str(), &link) == 0 && !S_ISREG(link.st_mode)) return Claim{};
    return fd.status();
  }
  struct stat info {};
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) return Claim{};
  if (ops.TryLock(fd->get()) != 0) {
    if (errno == EWOULDBLOCK) return Claim{.outcome = Claim::Outcome::kInUse};
    return ErrnoStatus(errno, "lock", path);
  }
  // Its owner may have published it, and another file may have taken its name, before we had the
  // lock.
  struct stat named {};
  if (ops.Lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return Claim{};
    return ErrnoStatus(errno, "look at", path);
  }
  if (FileId::Of(named) != FileId::Of(info)) return Claim{};
  Claim claim{.outcome = Claim::Outcome::kOurs, .fd = *std::move(fd)};
  if (ops.TryLease(claim.fd.get(), F_WRLCK) != 0) {
    if (errno == EAGAIN) return Claim{.outcome = Claim::Outcome::kInUse};
    claim.outcome = Claim::Outcome::kUnknown;
  }
  // The size from before the lock may be old.
  if (ops.Fstat(claim.fd.get(), &claim.info) != 0) return ErrnoStatus(errno, "look at", path);
  return claim;
}

absl::StatusOr<WholePart> FindWholePart(FileOps& ops, int fd, uint64_t size) {
  WholePart whole;
  if (size == 0) return whole;
  absl::StatusOr<Reader> reader = Reader::Open(ops, fd, size);
  if (!reader.ok()) return reader.status();
  while (true) {
    auto record = reader->Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) break;
    absl::StatusOr<bool> parses = Parses(ops, fd, **record);
    if (!parses.ok()) return parses.status();
    if (!*parses) {
      whole.torn = absl::DataLossError(
          absl::StrCat("at byte ", (*record)->frame.offset, ": a record that does not parse"));
      return whole;
    }
    ++whole.records;
    whole.size = reader->position();
  }
  whole.torn = reader->torn();
  return whole;
}

}  // namespace datamanager::capture_file
