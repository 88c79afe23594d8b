#include "ingest_server/blob_writer.h"

#include <fcntl.h>
#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/strings.h"

namespace ingest {
namespace {

constexpr char kTemporarySuffix[] = ".tmp";

}  // namespace

absl::StatusOr<std::unique_ptr<BlobWriter>> BlobWriter::Create(const std::string& directory) {
  std::string path = absl::StrCat(directory, "/XXXXXX", kTemporarySuffix);
  datamanager::UniqueFd fd(mkostemps(path.data(), sizeof(kTemporarySuffix) - 1, O_CLOEXEC));
  if (!fd.valid()) return datamanager::ErrnoStatus(errno, "create", path);
  std::unique_ptr<BlobWriter> writer(new BlobWriter(directory, std::move(path), std::move(fd)));
  // Held while the file is written: RemoveAbandoned goes by it.
  if (datamanager::FileOps::System().TryLock(writer->fd_.get()) != 0) {
    return datamanager::ErrnoStatus(errno, "lock", writer->path_);
  }
  return writer;
}

void BlobWriter::RemoveAbandoned(const std::string& directory) {
  datamanager::FileOps& ops = datamanager::FileOps::System();
  std::error_code ignored;  // A leftover costs space only, and the next start tries again.
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.path().extension() != kTemporarySuffix) continue;
    const auto fd = datamanager::OpenFile(ops, entry.path(), O_RDONLY);
    if (fd.ok() && ops.TryLock(fd->get()) == 0) ops.Unlink(entry.path().c_str());
  }
}

BlobWriter::BlobWriter(std::string directory, std::string path, datamanager::UniqueFd fd)
    : directory_(std::move(directory)), path_(std::move(path)), fd_(std::move(fd)) {}

BlobWriter::~BlobWriter() {
  if (!named_) datamanager::FileOps::System().Unlink(path_.c_str());
}

absl::Status BlobWriter::Append(std::string_view bytes) {
  digest_.Update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t count =
        datamanager::FileOps::System().Write(fd_.get(), bytes.data(), bytes.size());
    if (count < 0) return datamanager::ErrnoStatus(errno, "write", path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::StatusOr<Blob> BlobWriter::Finish() {
  Blob blob{.sha256 = datamanager::ToHex(digest_.Finish()), .size = size_};

  if (datamanager::FileOps::System().Fdatasync(fd_.get()) != 0) {
    return datamanager::ErrnoStatus(errno, "flush", path_);
  }
  // May replace: then by the same content.
  const std::string name = absl::StrCat(directory_, "/", blob.sha256);
  if (std::rename(path_.c_str(), name.c_str()) != 0) {
    return datamanager::ErrnoStatus(errno, "rename to", name);
  }
  named_ = true;
  return blob;
}

}  // namespace ingest
