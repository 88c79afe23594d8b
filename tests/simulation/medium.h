// What a power cut can leave on a disk.
//
// The model: the calls that changed the disk are known in their order (change.h). The power is cut
// after any one of them. Flushed changes before it have reached the medium; any other may have.
//
//   Flushed are
//   - the writes and truncations of a file before an fdatasync of it;
//   - the names made, moved into and removed from a directory before an fsync of it;
//   - everything before a syncfs;
//   - on a disk with a journal, at each commit of it: the names and truncations before, and the
//     writes to a file before a write-back that came before the commit. A write-back alone
//     (sync_file_range) flushes nothing.
//   A flush of a file does not flush its name, and a flush of a directory not its own name, though
//   ext4 does that.
//
//   Up to three of the unflushed changes meet with a misfortune, the others have reached the
//   medium. A misfortune is one of
//   - any change: lost, even if later changes are not, as where blocks are written back in any
//     order. A write that is lost under a later one leaves zeros, otherwise the file is shorter. A
//     rename of a file whose creation was lost still gives it its new name.
//   - any change of a name: late, after everything else that reached the medium. If it is
//     impossible by then, it does not happen.
//   - a write: its length has reached the medium, but its data has not, whole or in its second
//     half, which are zeros instead, as after a cut with delayed allocation.
//   - a write: torn, with only its first half there.
//
//   A rename is one change, within a directory and between two: no state has both names, or none.
//
//   A journal can keep the changes in their order, too, as that of ext4 and XFS does. Then the cut
//   leaves the names and truncations up to one of them, the end of the journal, and none after it;
//   the writes to a file before a write-back that came before that end are there; and only other
//   writes meet with misfortunes.
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

// The changes among the first `count` that are not flushed by then. With a journal that keeps the
// order, `journal_end` changes are in it.
std::vector<size_t> Unflushed(const std::vector<Change>& changes, size_t count,
                              size_t journal_end = 0);

// The least possible end of the journal after the first `count` changes: behind the last name or
// truncation that is flushed.
size_t LeastJournalEnd(const std::vector<Change>& changes, size_t count);

// Loses the names and truncations from `journal_end` on, among the first `count` changes.
std::map<size_t, Misfortune> LostBehindJournal(const std::vector<Change>& changes, size_t count,
                                               size_t journal_end);

// The disk after the first `count` changes to `image`, some of which met with a misfortune.
Image AfterPowerCut(Image image, const std::vector<Change>& changes, size_t count,
                    const std::map<size_t, Misfortune>& misfortunes);

// The same for equal disks: of the files that have names, and the directories.
uint64_t Fingerprint(const Image& image);

// Makes the files; paths below `from` come to lie below `to`, which is empty.
void Materialise(const Image& image, const std::string& from, const std::string& to);

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_MEDIUM_H_
