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

// SHA-256; null where the library was built without. Looked up once: that takes longer than to hash
// a file's ends.
const EVP_MD* Digest() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return digest;
}

}  // namespace

absl::StatusOr<UploadKeys> UploadKeys::Of(const LocalFile& file, std::string_view part_id) {
  return Of(file, part_id, [&file](uint64_t offset, uint64_t size, char* out) {
    return file.Read(offset, size, out);
  });
}

absl::StatusOr<UploadKeys> UploadKeys::Of(const LocalFile& file, std::string_view part_id,
                                          Read read) {
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
  // What both have in common counts once.
  const uint64_t first = std::min(kEndBytes, file.size());
  const uint64_t last = std::min(kEndBytes, file.size() - first);
  std::string& identity = keys.identity_;
  const size_t size = identity.size();
  identity.resize(size + first + last);
  absl::Status status = read(0, first, identity.data() + size);
  if (status.ok()) status = read(file.size() - last, last, identity.data() + size + first);
  if (!status.ok()) return status;
  return keys;
}

std::string UploadKeys::ForRange(uint64_t begin, uint64_t end) const {
  const std::string text = absl::StrCat(begin, "-", end, ";", identity_);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, Digest(), nullptr);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), kKeyBytes));
}

}  // namespace datamanager::sync
