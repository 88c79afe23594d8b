#include "capture/tabular_answer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string_view>

#include "capture/struct_encoder.h"

namespace datamanager::capture {
namespace {

// The key around values.
std::string_view KeyOf(const Method& method) {
  return method.rule == PayloadRule::kDoCommand ? "docommand_output" : "readings";
}

}  // namespace

absl::Status PrependAnswer(const Method& method, const ValueMap& values,
                           capture_file::RecordBuffer& out) {
  const size_t end = out.size();
  absl::Status status = PrependStruct(values, out);
  if (status.ok()) WrapStruct(KeyOf(method), end, out);
  return status;
}

absl::Status PrependAnswer(const Method& method, const MessageFields& fields,
                           const google::protobuf::Message& response,
                           capture_file::RecordBuffer& out) {
  if (method.rule == PayloadRule::kFields) {
    return PrependStruct(response, fields, Unset::kEmpty, out);
  }
  if (method.rule == PayloadRule::kFieldsOrZeros) {
    return PrependStruct(response, fields, Unset::kZeros, out);
  }
  const size_t end = out.size();
  // The only field of such a response.
  absl::Status status = PrependStruct(response, *fields.at(0).given, out);
  if (status.ok()) WrapStruct(KeyOf(method), end, out);
  return status;
}

}  // namespace datamanager::capture
