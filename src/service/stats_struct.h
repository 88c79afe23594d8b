// Statistics as a google.protobuf.Struct.
#ifndef DATAMANAGER_SRC_SERVICE_STATS_STRUCT_H_
#define DATAMANAGER_SRC_SERVICE_STATS_STRUCT_H_

#include <google/protobuf/struct.pb.h>

#include "datamanager/stats.h"
#include "datamanager/value.h"

namespace datamanager::service {

// Fields by their names; durations in milliseconds, with the suffix _ms; times as RFC 3339 in UTC.
ValueMap ToMap(const ManagerStats& stats);

// Bytes that are not UTF-8, which a Struct cannot hold, become escapes such as \xff.
google::protobuf::Struct ToStruct(const ValueMap& map);

}  // namespace datamanager::service

#endif  // DATAMANAGER_SRC_SERVICE_STATS_STRUCT_H_
