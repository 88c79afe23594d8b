// What the answer to a tabular method becomes.
#ifndef DATAMANAGER_SRC_CAPTURE_TABULAR_ANSWER_H_
#define DATAMANAGER_SRC_CAPTURE_TABULAR_ANSWER_H_

#include "absl/status/status.h"
#include "capture/message_fields.h"
#include "capture/methods.h"
#include "capture_file/record_buffer.h"
#include "datamanager/value.h"

namespace datamanager::capture {

// Each of these prepends the record's Struct to `out`; on an error, what is there is of no use.

// Of methods for readings and commands: what a source reported as values.
absl::Status PrependAnswer(const Method& method, const ValueMap& values,
                           capture_file::RecordBuffer& out);
// Of any: what a source reported as a message. `fields` are those of the method's response in it.
absl::Status PrependAnswer(const Method& method, const MessageFields& fields,
                           const google::protobuf::Message& response,
                           capture_file::RecordBuffer& out);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_TABULAR_ANSWER_H_
