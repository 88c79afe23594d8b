// The curves: how what the library costs grows with what it is given. Each point is a cost per
// unit, so that flat is as good as can be; each run checks the counts and the bytes of what it
// measured, and throws Broken if they are wrong.
#ifndef DATAMANAGER_TESTS_BENCH_CURVES_H_
#define DATAMANAGER_TESTS_BENCH_CURVES_H_

#include <vector>

#include "tests/bench/curve.h"
#include "tests/bench/settings.h"

namespace datamanager::bench {

// Files waiting: the time of a pass, for each of them.
std::vector<Curve> BacklogTime(const Settings& settings);
// Files waiting: memory beyond idle.
std::vector<Curve> BacklogMemory(const Settings& settings);
// Collectors: CPU time of a tick, and lateness.
std::vector<Curve> CollectorCount(const Settings& settings);
// Size of a record: the time it takes, and each of its bytes.
std::vector<Curve> RecordSize(const Settings& settings);
// Of those, how a payload gets to a published file of its own: microseconds for each payload, and
// nanoseconds for each of its bytes.
std::vector<Way> PublishPayloads(const Settings& settings, const std::vector<double>& sizes);
// Round-trip time: the time of an upload.
std::vector<Curve> RoundTrip(const Settings& settings);
// Workers: uploads in a second, near to the server and far from it.
std::vector<Curve> WorkerCount(const Settings& settings);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_CURVES_H_
