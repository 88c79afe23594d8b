#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "base/proto_value.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "robot/sources/fd.h"
#include "robot/sources/models.h"
#include "robot/sources/regular_file.h"

namespace robot {
namespace {

// Far more than a sensor has to say.
constexpr off_t kMaxBytes = 1 << 20;

class FileReadings {
 public:
  explicit FileReadings(std::string path) : path_(std::move(path)) {}

  absl::Status Read(datamanager::Readings& out) {
    Fd fd;
    struct stat info = {};
    if (absl::Status status = OpenRegularFile(path_, fd, info); !status.ok()) return status;
    if (info.st_size > kMaxBytes) {
      return absl::InvalidArgumentError(path_ + " is larger than 1 MiB");
    }
    std::string text(static_cast<size_t>(info.st_size), '\0');
    const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
    if (size < 0) return absl::ErrnoToStatus(errno, "read " + path_);
    text.resize(static_cast<size_t>(size));
    google::protobuf::Struct json;
    const auto parsed = google::protobuf::util::JsonStringToMessage(text, &json);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(path_ +
                                        " holds no JSON object: " + std::string(parsed.message()));
    }
    for (const auto& [key, value] : json.fields()) datamanager::FromProto(value, out.Add(key));
    return absl::OkStatus();
  }

 private:
  const std::string path_;
};

}  // namespace

datamanager::SourceFunction MakeFileReadings(Attributes& attributes) {
  return ReadingsFrom(std::make_shared<FileReadings>(attributes.RequiredText("path")));
}

}  // namespace robot
