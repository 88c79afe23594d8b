// What a power cut can leave of a disk.
//
// The model. The calls that changed the disk are known in their order (change.h). The power is cut
// after any one of them; of those before it, what was flushed is there, and what was not may be.
//
//   Flushed are
//   - the writes and truncations of a file before an fdatasync of it;
//   - the names made, moved into and removed from a directory before an fsync of it;
//   - everything before a syncfs;
//   - on a disk with a journal, at each commit of it: the names and truncations before, and the
//     writes to a file before a write-back that came before the commit. A write-back alone
//     (sync_file_range) flushes nothing.
//   A flush of a file is none of its name, and one of a directory none of its own, though ext4
//   makes it one.
//
//   Up to three of the changes that are not flushed meet with a misfortune, the others have reached
//   the medium. A misfortune is one of
//   - any change: lost, even if changes after it are not, as where blocks are written back in any
//     order. A write that is lost under a later one leaves zeros, else the file is shorter. A
//     rename of a file whose creation was lost still gives it its new name.
//   - any change of a name: late, after everything else that reached the medium. What it then finds
//     to be impossible does not happen.
//   - a write: its length has reached the medium, but its data has not, whole or in its second
//     half, which are zeros instead, as after a cut with delayed allocation.
//   - a write: torn, with only its first half there.
//
//   A rename is one change, within a directory and between two: no state has both names, or none.
#ifndef DATAMANAGER_TESTS_SIMULATION_MEDIUM_H_
#define DATAMANAGER_TESTS_SIMULATION_MEDIUM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/change.h"

namespace datamanager::simulation {

enum class Misfortune : uint8_t { kLost, kLate, kZeroed, kHalfZeroed, kTorn };

// Which misfortunes can befall a change.
std::vector<Misfortune> MisfortunesOf(const Change& change);

// The changes among the first `count` that are not flushed by then.
std::vector<size_t> Unflushed(const std::vector<Change>& changes, size_t count);

// The disk after the first `count` changes to `image`, some of which met with a misfortune.
Image AfterPowerCut(Image image, const std::vector<Change>& changes, size_t count,
                    const std::map<size_t, Misfortune>& misfortunes);

// The same for equal disks: of the files that have names, and the directories.
uint64_t Fingerprint(const Image& image);

// Makes the files; paths below `from` come to lie below `to`, which is empty.
void Materialise(const Image& image, const std::string& from, const std::string& to);

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_MEDIUM_H_
