// Writes records in their wire form, without building messages first.
#ifndef DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_
#define DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_

#include <cstddef>

#include "capture_file/record_buffer.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// When a source was asked, and when it had answered.
struct RecordTimes {
  WallTime requested;
  WallTime received;
};

// Both complete a SensorData message (proto/viam/app/datasync/v1/data_sync.proto) whose end is in
// `out`.

// A tabular record: `out` has the Struct (struct_encoder.h).
void PrependTabularHead(const RecordTimes& times, capture_file::RecordBuffer& out);
// A binary record whose `payload_size` bytes follow from elsewhere: `out` is empty. Labels are
// UTF-8.
void PrependBinaryHead(const RecordTimes& times, const Annotations& annotations,
                       size_t payload_size, capture_file::RecordBuffer& out);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_
