#include "sync/mime_type.h"

#include <utility>

namespace datamanager::sync {

std::string_view ExtensionOf(std::string_view mime_type) {
  constexpr std::pair<std::string_view, std::string_view> kExtensions[] = {
      {"image/jpeg", ".jpeg"},        {"image/png", ".png"},
      {"image/vnd.viam.dep", ".dep"}, {"image/vnd.viam.rgba", ".rgba"},
      {"pointcloud/pcd", ".pcd"},     {"video/mp4", ".mp4"},
      {"audio/wav", ".wav"},          {"audio/mpeg", ".mp3"},
  };
  for (const auto& [known, extension] : kExtensions) {
    if (known == mime_type) return extension;
  }
  return "";
}

}  // namespace datamanager::sync
