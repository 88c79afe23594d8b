#include "capture_file/copy.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace datamanager::capture_file {
namespace {

constexpr uint64_t kChunkBytes = 64 << 10;
// The size of a memory page and of the blocks of most file systems: the kernel loses whole blocks.
constexpr size_t kBlockBytes = 4096;
// A record may well end with some zeros: fewer than this at the file's end prove nothing.
constexpr size_t kLeastZeros = 64;

// Reads `size` bytes block by block; a block that cannot be read becomes zeros.
absl::Status ReadBlocks(FileOps& ops, int fd, uint64_t offset, size_t size, char* out) {
  if (ReadExactly(ops, fd, static_cast<off_t>(offset), size, out).ok()) return absl::OkStatus();
  absl::Status first;
  for (size_t done = 0; done < size; done += kBlockBytes) {
    const size_t part = std::min(size - done, kBlockBytes);
    std::fill_n(out + done, part, '\0');
    const absl::Status status =
        ReadExactly(ops, fd, static_cast<off_t>(offset + done), part, out + done);
    if (status.ok()) continue;
    first.Update(
        absl::DataLossError(absl::StrCat("at byte ", offset + done, ": ", status.message())));
  }
  return first;
}

absl::Status LookForLostBlocks(const char* data, size_t size, uint64_t offset) {
  for (size_t done = 0; done < size; done += kBlockBytes) {
    const size_t part = std::min(size - done, kBlockBytes);
    const char* const block = data + done;
    if (part >= kLeastZeros && std::all_of(block, block + part, [](char c) { return c == 0; })) {
      return absl::DataLossError(absl::StrCat("at byte ", offset + done,
                                              ": a block of zeros, which may never have reached "
                                              "the medium"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CopyBytes(FileOps& ops, int from, uint64_t offset, uint64_t size, int to,
                       const std::function<bool()>& keep_going) {
  std::vector<char> chunk(std::min(size, kChunkBytes));
  while (size > 0) {
    if (keep_going && !keep_going()) return absl::CancelledError("the copy was ended");
    const size_t part = std::min<uint64_t>(size, chunk.size());
    absl::Status status = ReadExactly(ops, from, static_cast<off_t>(offset), part, chunk.data());
    if (status.ok()) status = WriteAll(ops, to, {chunk.data(), part});
    if (!status.ok()) return status;
    offset += part;
    size -= part;
  }
  return absl::OkStatus();
}

absl::Status CopyReadableBytes(FileOps& ops, int from, uint64_t size, int to) {
  std::vector<char> chunk(std::min(size, kChunkBytes));
  absl::Status loss;
  for (uint64_t offset = 0; offset < size; offset += chunk.size()) {
    const size_t part = std::min<uint64_t>(size - offset, chunk.size());
    loss.Update(ReadBlocks(ops, from, offset, part, chunk.data()));
    loss.Update(LookForLostBlocks(chunk.data(), part, offset));
    absl::Status written = WriteAll(ops, to, {chunk.data(), part});
    if (!written.ok()) return written;
  }
  return loss;
}

}  // namespace datamanager::capture_file
