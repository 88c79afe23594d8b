// The benches. Each measures what its rows say and checks the counts and the bytes of what it
// measured; it throws Broken if they are wrong.
#ifndef DATAMANAGER_TESTS_BENCH_BENCHES_H_
#define DATAMANAGER_TESTS_BENCH_BENCHES_H_

#include <vector>

#include "tests/bench/compare.h"
#include "tests/bench/settings.h"

namespace datamanager::bench {

// P1: fill and encode one reading, against Protobuf.
std::vector<Row> Encode(const Settings& settings);
// P2: append a record, against write(2).
std::vector<Row> Append(const Settings& settings);
// P8: a pass over many files, against reading the directories alone.
std::vector<Row> Walk(const Settings& settings);
// P6: upload small files, against a bare loop of calls.
std::vector<Row> UploadSmallFiles(const Settings& settings);
// P7: upload one large file, against a bare stream.
std::vector<Row> UploadLargeFile(const Settings& settings);
// P11: upload tabular files, against requests that are there already, and against parsing.
std::vector<Row> UploadTabularFiles(const Settings& settings);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_BENCHES_H_
