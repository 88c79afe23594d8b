// Writes what a tabular record holds, google.protobuf.Struct, in its wire form.
#ifndef DATAMANAGER_SRC_CAPTURE_STRUCT_ENCODER_H_
#define DATAMANAGER_SRC_CAPTURE_STRUCT_ENCODER_H_

#include <string_view>

#include "absl/status/status.h"
#include "capture/message_fields.h"
#include "capture_file/record_buffer.h"
#include "datamanager/value.h"

namespace google::protobuf {
class Message;
}

namespace datamanager::capture {

// What an unset message becomes.
enum class Unset : uint8_t {
  kEmpty,  // {}
  kZeros,  // As if it were set, with nothing in it.
};

// Each of these prepends to `out` the bytes that Protobuf would write for the tree, without
// building it. INVALID_ARGUMENT, with the keys that lead to the fault, for text that is not UTF-8
// and for values that are nested too deep for a Protobuf parser; long keys are shortened in it.
// INVALID_ARGUMENT also if it is more than `out` holds; the rest is then not checked.

// Values as sources and commands report them. Numbers that JSON cannot express become the strings
// "NaN", "Infinity" and "-Infinity", as they do when the reference's clients read them; bytes
// become base64. Keys keep their order.
absl::Status PrependValue(const Value& value, capture_file::RecordBuffer& out);
absl::Status PrependStruct(const ValueMap& map, capture_file::RecordBuffer& out);
// Returns the number of bytes that PrependStruct would add for `map`; values nested too deep count
// as 0.
uint64_t EncodedSize(const ValueMap& map);
// The same for what arrives in a message: a field that is a google.protobuf.Struct, or a map of
// google.protobuf.Value.
absl::Status PrependStruct(const google::protobuf::Message& message,
                           const google::protobuf::FieldDescriptor& field,
                           capture_file::RecordBuffer& out);

// {<field>: <value>...} with every one of `fields`: numbers and enums as numbers (NaN and
// infinities too, float32 widened unrounded, 64-bit integers rounded to the nearest double, an enum
// value that we do not know as 0), messages as objects, repeated fields as lists, bytes as lists of
// numbers.
absl::Status PrependStruct(const google::protobuf::Message& message, const MessageFields& fields,
                           Unset unset, capture_file::RecordBuffer& out);

// {"<key>": {...}} around the Struct that was prepended since size() was `end`.
void WrapStruct(std::string_view key, size_t end, capture_file::RecordBuffer& out);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_STRUCT_ENCODER_H_
