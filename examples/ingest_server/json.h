// What a message carries, as JSON text for the store.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_JSON_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_JSON_H_

#include <string>

#include "google/protobuf/repeated_ptr_field.h"
#include "google/protobuf/struct.pb.h"

namespace ingest {

// Keys are sorted, and numbers have as many digits as bring the same double back. What JSON has no
// number for becomes a string: "NaN", "Infinity", "-Infinity". Protobuf's own writer refuses a
// Struct that has one, and a sensor that returns NaN is no reason to refuse its reading.
std::string ToJson(const google::protobuf::Struct& value);

// An array of strings.
std::string ToJson(const google::protobuf::RepeatedPtrField<std::string>& strings);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_JSON_H_
