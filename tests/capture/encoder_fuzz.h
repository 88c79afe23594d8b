// Random answers of every method, encoded and compared with what Protobuf would have written.
#ifndef DATAMANAGER_TESTS_CAPTURE_ENCODER_FUZZ_H_
#define DATAMANAGER_TESTS_CAPTURE_ENCODER_FUZZ_H_

#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <random>
#include <string>

#include "capture/methods.h"

namespace datamanager::testing {

// Not thread-safe. The same seed brings the same answers.
class EncoderFuzz {
 public:
  explicit EncoderFuzz(uint32_t seed);

  // One random answer of `method`. Empty, or what differs.
  std::string Try(const capture::Method& method);

  // Answers that were stored, and that were refused as they should be.
  uint64_t stored() const { return stored_; }
  uint64_t refused() const { return refused_; }

 private:
  bool OneIn(uint32_t n) { return random_() % n == 0; }
  double Number();
  std::string Text();
  std::string Bytes();
  void Fill(google::protobuf::Message* message);
  void FillOne(google::protobuf::Message* message, const google::protobuf::FieldDescriptor* field);
  void Fill(google::protobuf::Value* value, int depth);
  void Fill(google::protobuf::Struct* map, int depth);

  std::string TryTabular(const capture::Method& method, const google::protobuf::Message& response);
  std::string TryValues(const capture::Method& method);
  std::string TryBinary(const capture::Method& method);
  std::string Judge(const absl::Status& status, bool storable, const std::string& encoded,
                    const google::protobuf::Struct& expected);

  std::mt19937 random_;
  google::protobuf::DynamicMessageFactory factory_;
  uint64_t stored_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_ENCODER_FUZZ_H_
