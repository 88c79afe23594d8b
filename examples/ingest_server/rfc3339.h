// Times in the server's database.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_RFC3339_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_RFC3339_H_

#include <string>

#include "absl/time/time.h"

namespace ingest {

inline std::string ToRfc3339(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E9SZ", time, absl::UTCTimeZone());
}

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_RFC3339_H_
