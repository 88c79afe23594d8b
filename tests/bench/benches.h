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
// P3: how late ticks are, against threads that only sleep.
std::vector<Row> Punctuality(const Settings& settings);
// P4: CPU time of many collectors, against threads that write the same bytes.
std::vector<Row> CollectorCpu(const Settings& settings);
// P5: capture a frame to a published file, against the system calls.
std::vector<Row> PublishFrames(const Settings& settings);
// P8: a pass over many files, against reading the directories alone.
std::vector<Row> Walk(const Settings& settings);
// P6: upload small files, against a bare loop of calls.
std::vector<Row> UploadSmallFiles(const Settings& settings);
// P14: upload small files to a server far away, against one at a time.
std::vector<Row> UploadFarAway(const Settings& settings);
// P15: upload small files that are no capture files, against a bare loop of streams.
std::vector<Row> UploadOtherFiles(const Settings& settings);
// P7: upload one large file, against a bare stream.
std::vector<Row> UploadLargeFile(const Settings& settings);
// P9: how memory grows with the backlog, and with a file.
std::vector<Row> Memory(const Settings& settings);
// P10: what an idle data manager takes, beyond a channel.
std::vector<Row> Idle(const Settings& settings);
// P11: upload tabular files, against requests that are there already, and against parsing.
std::vector<Row> UploadTabularFiles(const Settings& settings);
// P12: the bytes written to a disk, and the number of its flushes, against files without a flush.
// Throws Skipped where no file system can be mounted.
std::vector<Row> DiskWear(const Settings& settings);
// P13: the size of the robot, and its start.
std::vector<Row> Footprint(const Settings& settings);
// P13: a clean build. No row if it is not said of what.
std::vector<Row> CleanBuild(const Settings& settings);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_BENCHES_H_
