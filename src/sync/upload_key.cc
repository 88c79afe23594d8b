#include "sync/upload_key.h"

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

constexpr size_t kKeyBytes = 16;

// Each part with its length, so that parts cannot run into each other.
void AppendPart(std::string_view part, std::string& out) {
  absl::StrAppend(&out, part.size(), ":", ToAbsl(part), ";");
}

std::string_view NameOf(FileKind kind) {
  switch (kind) {
    case FileKind::kCapture:
      return "capture";
    case FileKind::kSequence:
      return "sequence";
    case FileKind::kDatasetUpload:
      return "dataset";
    case FileKind::kArbitrary:
      break;
  }
  return "file";
}

}  // namespace

UploadKeys::UploadKeys(std::string_view part_id, FileKind kind, std::string_view digest,
                       std::string_view asked) {
  for (const std::string_view part : {part_id, NameOf(kind), digest, asked}) {
    AppendPart(part, identity_);
  }
}

std::string UploadKeys::ForRange(uint64_t begin, uint64_t end) const {
  return ToHex(Sha256::Of(absl::StrCat(begin, "-", end, ";", identity_)).substr(0, kKeyBytes));
}

}  // namespace datamanager::sync
