#include "sync/upload_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

constexpr uint64_t kEndBytes = 4096;
constexpr size_t kKeyBytes = 16;

// Each part with its length, so that parts cannot run into each other.
void AppendPart(std::string_view part, std::string& out) {
  absl::StrAppend(&out, part.size(), ":", ToAbsl(part), ";");
}

}  // namespace

absl::StatusOr<UploadKeys> UploadKeys::Of(const LocalFile& file, std::string_view part_id) {
  UploadKeys keys;
  AppendPart(part_id, keys.identity_);
  const FoundFile& found = file.found();
  const bool ours = found.kind != FileKind::kArbitrary;
  AppendPart(ours ? BaseName(found.path) : found.path, keys.identity_);
  if (!ours || found.kind == FileKind::kDatasetUpload) {
    const timespec& modified = file.info().st_mtim;
    AppendPart(absl::StrCat(modified.tv_sec, ".", modified.tv_nsec), keys.identity_);
  }
  AppendPart(absl::StrCat(file.size()), keys.identity_);
  const uint64_t ends = std::min(kEndBytes, file.size());
  for (const uint64_t offset : {uint64_t{0}, file.size() - ends}) {
    std::string bytes(ends, '\0');
    absl::Status status = file.Read(offset, ends, bytes.data());
    if (!status.ok()) return status;
    AppendPart(bytes, keys.identity_);
  }
  return keys;
}

std::string UploadKeys::ForRange(uint64_t begin, uint64_t end) const {
  std::string text = identity_;
  AppendPart(absl::StrCat(begin, "-", end), text);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  // Fails only where the library was built without SHA-256.
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), kKeyBytes));
}

}  // namespace datamanager::sync
