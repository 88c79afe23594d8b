#include "sync/content_digest.h"

#include <algorithm>

#include "base/sha256.h"
#include "sync/await_call.h"

namespace datamanager::sync {
namespace {

constexpr uint64_t kPieceBytes = 256 << 10;
// What is hashed before others have their turn: a millisecond on a fast machine, some ten on a slow
// one. A turn costs a look at the network.
constexpr uint64_t kTurnBytes = 1 << 20;
static_assert(kTurnBytes % kPieceBytes == 0);

}  // namespace

ContentDigests::Order ContentDigests::OrderOf(const Key& key) {
  return {key.file.device,        key.file.inode,    key.version.size, key.version.modified_ns,
          key.version.changed_ns, key.extent.offset, key.extent.size};
}

std::optional<std::string> ContentDigests::Find(const Key& key) const {
  MutexLock lock(mutex_);
  const auto found = entries_.find(OrderOf(key));
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

void ContentDigests::Put(const Key& key, const std::string& digest) {
  if (key.extent.size < kSmallest) return;
  MutexLock lock(mutex_);
  if (!entries_.insert_or_assign(OrderOf(key), digest).second) return;
  oldest_first_.push_back(OrderOf(key));
  if (oldest_first_.size() <= kMostEntries) return;
  entries_.erase(oldest_first_.front());
  oldest_first_.pop_front();
}

Task<absl::StatusOr<std::string>> DigestOf(const LocalFile& file, capture_file::Extent extent,
                                           CallQueue& calls, const std::stop_token& stop,
                                           ContentDigests* digests) {
  const ContentDigests::Key key{
      .file = FileId::Of(file.info()), .version = FileVersion::Of(file.info()), .extent = extent};
  if (digests != nullptr) {
    if (std::optional<std::string> known = digests->Find(key); known.has_value()) {
      co_return *std::move(known);
    }
  }
  Sha256 sha256;
  std::string piece;
  for (uint64_t offset = extent.offset; offset < extent.end(); offset += piece.size()) {
    const uint64_t done = offset - extent.offset;
    if (done > 0 && done % kTurnBytes == 0) co_await AwaitTurn(calls);
    if (stop.stop_requested()) co_return absl::CancelledError("stopped by the caller");
    piece.resize(std::min(kPieceBytes, extent.end() - offset));
    if (absl::Status status = file.Read(offset, piece.size(), piece.data()); !status.ok()) {
      co_return status;
    }
    sha256.Update(piece);
  }
  std::string digest = sha256.Finish();
  // If the file was written to meanwhile, the digest belongs to none of its states.
  if (absl::Status status = file.CheckContents(); !status.ok()) co_return status;
  if (digests != nullptr) digests->Put(key, digest);
  co_return digest;
}

}  // namespace datamanager::sync
