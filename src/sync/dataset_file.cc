#include "sync/dataset_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/durable_names.h"
#include "base/sha256.h"
#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "capture_file/reader.h"
#include "sync/mime_type.h"
#include "sync/path_labels.h"

namespace datamanager::sync {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

constexpr size_t kDigestBytes = 16;
// Others who write the same at the same time, or have died of it.
constexpr int kNameAttempts = 1000;

void AddOnce(const std::vector<std::string>& labels,
             google::protobuf::RepeatedPtrField<std::string>& out) {
  for (const std::string& label : labels) {
    if (std::find(out.begin(), out.end(), label) == out.end()) *out.Add() = label;
  }
}

std::string NameDigest(std::string_view head, std::string_view contents) {
  Sha256 sha256;
  sha256.Update(head);
  sha256.Update(contents);
  return ToHex(sha256.Finish().substr(0, kDigestBytes));
}

}  // namespace

absl::StatusOr<DatasetFile> DatasetFile::Make(std::string_view contents, const UploadLabels& labels,
                                              std::string_view mime_type) {
  if (contents.empty()) {
    return absl::InvalidArgumentError("binary_data is empty: there is nothing to upload");
  }
  if (absl::Status status = CheckLabels(labels); !status.ok()) return status;
  if (!IsUtf8(mime_type)) {
    return absl::InvalidArgumentError("mime_type is not UTF-8, as the protocol demands");
  }
  wire::UploadMetadata metadata;
  metadata.set_type(wire::DATA_TYPE_FILE);
  AddOnce(labels.tags, *metadata.mutable_tags());
  AddOnce(labels.dataset_ids, *metadata.mutable_dataset_ids());
  metadata.set_mime_type(std::string(mime_type));
  metadata.set_file_extension(std::string(ExtensionOf(mime_type)));

  const std::string message = metadata.SerializeAsString();
  if (message.size() > capture_file::kMaxMetadataBytes) {
    return absl::InvalidArgumentError(absl::StrCat("tags and dataset_ids take ", message.size(),
                                                   " bytes; the limit is ",
                                                   capture_file::kMaxMetadataBytes));
  }
  DatasetFile file;
  char length[capture_file::kMaxVarintBytes];
  file.head_.assign(length, capture_file::WriteVarint(message.size(), length));
  file.head_ += message;
  file.contents_ = contents;
  file.name_ =
      capture_file::DatasetUploadName(NameDigest(file.head_, contents), metadata.file_extension());
  return file;
}

absl::StatusOr<std::optional<FileId>> DatasetFile::Write(
    FileOps& ops, const Root& root, const std::function<void()>& about_to_name) const {
  const std::string directory =
      absl::StrCat(root.path, "/", ToAbsl(capture_file::kDatasetUploadDirectory));
  const absl::StatusOr<UniqueFd> fd =
      MakeDirectoriesBelow(ops, root.path, capture_file::kDatasetUploadDirectory);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<std::optional<FileId>> made = WriteTo(ops, fd->get(), directory, about_to_name);
  if (!made.ok()) return made;
  // Of the capture directory, too, which may have just been made.
  if (absl::Status status = DurableNames(ops).Flush(directory); !status.ok()) return status;
  return made;
}

absl::StatusOr<std::optional<FileId>> DatasetFile::WriteTo(
    FileOps& ops, int directory, const std::string& path,
    const std::function<void()>& about_to_name) const {
  struct stat info {};
  // An empty file only reserves the name (exclusive_rename.h); the file that is then renamed to it
  // has the same content.
  if (ops.LstatAt(directory, name_.c_str(), &info) == 0 && info.st_size > 0) return std::nullopt;
  UniqueFd out;
  std::string in_progress;
  for (int attempt = 0; !out.valid(); ++attempt) {
    in_progress = capture_file::DatasetInProgressName(name_, attempt);
    out = UniqueFd(
        ops.OpenAt(directory, in_progress.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (!out.valid() && (errno != EEXIST || attempt == kNameAttempts)) {
      return ErrnoStatus(errno, "create", absl::StrCat(path, "/", in_progress));
    }
    // Whoever has locked it by now takes it for abandoned, and is about to remove it.
    if (out.valid() && ops.TryLock(out.get()) != 0) {
      if (errno != EWOULDBLOCK) {
        const int error = errno;
        ops.UnlinkAt(directory, in_progress.c_str());
        return ErrnoStatus(error, "lock", absl::StrCat(path, "/", in_progress));
      }
      out.Reset();
    }
    // Another process may also have taken it for abandoned and removed it before the lock.
    struct stat named {};
    if (out.valid() && (ops.Fstat(out.get(), &info) != 0 ||
                        ops.LstatAt(directory, in_progress.c_str(), &named) != 0 ||
                        FileId::Of(named) != FileId::Of(info))) {
      out.Reset();
      if (attempt == kNameAttempts) {
        return absl::UnavailableError(
            absl::StrCat(path, "/", in_progress, " is removed by another process"));
      }
    }
  }
  absl::Status status = WriteAll(ops, out.get(), head_);
  if (status.ok()) status = WriteAll(ops, out.get(), contents_);
  status = Wrap(status, in_progress);
  if (status.ok() && ops.Fdatasync(out.get()) != 0) {
    status = ErrnoStatus(errno, "flush", in_progress);
  }
  if (status.ok() && ops.Fstat(out.get(), &info) != 0) {
    status = ErrnoStatus(errno, "look at", in_progress);
  }
  if (status.ok()) about_to_name();
  if (status.ok() &&
      ops.RenameNoReplaceAt(directory, in_progress.c_str(), directory, name_.c_str()) == 0) {
    return FileId::Of(info);
  }
  // The same may have been written meanwhile.
  if (status.ok() && errno != EEXIST) status = ErrnoStatus(errno, "rename", in_progress);
  ops.UnlinkAt(directory, in_progress.c_str());
  if (!status.ok()) return Wrap(status, path);
  return std::nullopt;
}

absl::StatusOr<DatasetFileHead> ReadDatasetFileHead(const LocalFile& file) {
  const auto reader = capture_file::Reader::Open(file.ops(), file.fd(), file.size());
  if (!reader.ok()) return reader.status();
  DatasetFileHead head{.size = reader->metadata_frame().end()};
  if (!head.metadata.ParseFromString(reader->metadata()) ||
      head.metadata.type() != wire::DATA_TYPE_FILE || head.size >= file.size()) {
    return absl::DataLossError("it does not begin with what an upload to datasets begins with");
  }
  return head;
}

void RemoveAbandonedDatasetFiles(FileOps& ops, const std::vector<Root>& roots,
                                 const std::stop_token& stop,
                                 const std::function<void(const std::string& path)>& removed) {
  for (const Root& root : roots) {
    const std::string path =
        absl::StrCat(root.path, "/", ToAbsl(capture_file::kDatasetUploadDirectory));
    const DirectoryStream stream = OpenDirectory(ops, AT_FDCWD, path.c_str(), O_NOFOLLOW);
    if (stream == nullptr) continue;
    while (const dirent* entry = ops.ReadDirectory(stream.get())) {
      if (stop.stop_requested()) return;
      if (!capture_file::IsDatasetInProgress(entry->d_name)) continue;
      const std::string file = absl::StrCat(path, "/", entry->d_name);
      // Its writer holds the lock until it has renamed it, or has died.
      const absl::StatusOr<capture_file::Claim> claim = capture_file::ClaimFile(ops, file);
      if (claim.ok() && claim->fd.valid() && ops.Unlink(file.c_str()) == 0) removed(file);
    }
  }
}

}  // namespace datamanager::sync
