// Writes files for a robot to upload.
//   upload_files readings DIRECTORY COLLECTORS FILES BYTES   capture files of readings, FILES of
//   each upload_files pictures DIRECTORY COLLECTORS FILES BYTES   one picture of BYTES in each
//   upload_files file PATH BYTES                             no capture file, and not compressible
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "capture_file/file_name.h"
#include "tests/bench/records.h"

namespace {

using datamanager::Clock;
using datamanager::WallTime;
namespace bench = datamanager::bench;
namespace capture_file = datamanager::capture_file;

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) {
    std::fprintf(stderr, "upload_files: cannot write %s\n", path.c_str());
    std::exit(1);
  }
}

std::string Noise(size_t size) {
  std::mt19937 random(1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string PictureFile(size_t size) {
  bench::wire::DataCaptureMetadata metadata = bench::TabularMetadata();
  metadata.set_component_type("rdk:component:camera");
  metadata.set_method_name("GetImages");
  metadata.set_type(bench::wire::DATA_TYPE_BINARY_SENSOR);
  metadata.set_file_extension(".jpeg");
  metadata.set_mime_type("image/jpeg");
  capture_file::RecordBuffer head;
  head.PrependBytes(metadata.SerializeAsString());
  bench::wire::SensorData record;
  record.mutable_metadata()->mutable_time_requested()->set_seconds(1767225600);
  record.mutable_metadata()->mutable_time_received()->set_seconds(1767225600);
  record.set_binary(Noise(size));
  capture_file::RecordBuffer frame;
  frame.PrependBytes(record.SerializeAsString());
  return std::string(head.Frame()) + std::string(frame.Frame());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "file" && argc == 4) {
    Write(argv[2], Noise(std::strtoull(argv[3], nullptr, 10)));
    return 0;
  }
  const bool pictures = what == "pictures";
  if (argc != 6 || (!pictures && what != "readings")) {
    std::fputs(
        "upload_files readings|pictures DIRECTORY COLLECTORS FILES BYTES | file PATH BYTES\n",
        stderr);
    return 2;
  }
  const int collectors = std::atoi(argv[3]);
  const int files = std::atoi(argv[4]);
  const size_t size = std::strtoull(argv[5], nullptr, 10);
  const std::string bytes = pictures ? PictureFile(size) : bench::TabularFileOf(size).bytes;
  const WallTime begin = Clock::System().WallNow() - std::chrono::hours(1);
  for (int collector = 0; collector < collectors; ++collector) {
    const std::string directory = capture_file::CollectorDirectory(
        argv[2], pictures ? "rdk:component:camera" : "rdk:component:sensor",
        absl::StrCat(what, collector), pictures ? "GetImages" : "Readings");
    std::filesystem::create_directories(directory);
    for (int i = 0; i < files; ++i) {
      Write(absl::StrCat(directory, "/",
                         capture_file::CompleteName(
                             begin + std::chrono::milliseconds(i * collectors + collector))),
            bytes);
    }
  }
  return 0;
}
