// Every name that capture gives on disk, and that sync finds there, is built and parsed here.
//
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.prog      being written
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.capture   published, to be uploaded
//   <root>/failed/<path below root>                           refused, or unreadable
//   <path>.cut-at-<offset>.prog                               a remainder: what is no whole record
//                                                             of a damaged file; nobody's
//   <path>.cut-at-<offset>.part.prog                          a remainder being written
//   <path>.further-at-<offset>.prog                           whole records from behind damage,
//                                                             until the file is cut there
//   <path>.read-back-<n>.prog                                 what can still be read after a failed
//                                                             flush; nobody's
//   <root>/datasetUpload/<digest><extension>.upload           bytes for datasets, to be uploaded
//   <root>/datasetUpload/<digest><extension>.upload.<n>.prog  being written
//   <capture_dir>/sequences/<id>.progseq                      a sequence that has not ended
//   <capture_dir>/sequences/<id>.seq                          one that has, to be uploaded
//   <capture_dir>/sequences/<id>.<suffix>.tmp                 either, not yet written whole
//
// The life of a file, who has it, and what ends each stage:
//
//   .prog, in progress    its collector, by flock. Each record is one write(2). Flushed to the
//                         medium by the keeper now and then (data, name, directory), if
//                         `durability` says so. Ends when it is full, at a flush, at the
//                         collector's end.
//   .prog, finished       the keeper: flush, rename, flush the directory.
//   .prog, left behind    nobody: its process has died, or could not rename it. Recovery claims it
//                         by the lock, and only if nobody else has it open; cuts it where damage
//                         begins and publishes it; removes it if nothing whole is left. Whole
//                         records behind the damage go into a further file first, and what else is
//                         not all zeros into a remainder below failed/.
//   further, being made   who makes it, by flock, and by the lock on the damaged file. Ends when
//                         that is cut or removed: it becomes a complete file. Left behind by a dead
//                         process: made again as long as the damaged file is uncut, and published
//                         by recovery when that is cut or gone.
//   remainder, unfinished who writes it, by flock. Left behind by a dead process, it is removed by
//                         the next attempt, or with the next remainder below that root; beside its
//                         file, where --repair writes it, by recovery.
//   .prog, removed        its collector still: somebody took the name away. The keeper sees it
//                         within a second and has it finished; the records, which can still be
//                         read, are copied to a new file in the directory made again. One that was
//                         moved, with its directory or alone, is published where it is.
//   .capture, waiting     nobody. Sync claims it for an upload, retention for its eviction.
//   .capture, uploading   an upload worker, by the tracker and by flock. Stored: removed. A
//                         transient failure: it waits again. Refused: failed/.
//   failed/, set aside    nobody, until an operator puts it back.
//   .upload.<n>.prog      the call that writes it, by flock. Flushed, renamed, the directory
//   flushed;
//                         removed where that fails. Left behind by a dead process, it is removed
//                         when sync starts: nobody was told that it is there.
//   .upload, waiting      as .capture, but never evicted.
//   .progseq              capture control, by flock, until the sequence ends: then the .seq takes
//                         its place. Left behind by a dead process: recovery ends it.
//   .seq, waiting         as .upload; sync uploads it after its data.
//
// A name never moves onto another: each rename refuses to replace, and goes on to the next
// microsecond.
//
//   stamp = YYYY-MM-DDTHH_MM_SS.uuuuuu(Z | (+|-)HH_MM)         local time and its offset from UTC
//
// A stamp names one instant, and reads back as that in every zone. Where the zone's offset is no
// whole number of minutes, the stamp has the whole minutes and the local time that belongs to them.
// 60 for a second, a leap second, is read and never written.
//
// ':' becomes '_' in the segments that are made here, and in no other part of the path.
// Example: /data/rdk_component_sensor/cpu/Readings/2026-01-02T03_04_05.000006-05_00.capture
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "datamanager/clock.h"

namespace datamanager::capture_file {

inline constexpr std::string_view kInProgressSuffix = ".prog";
inline constexpr std::string_view kCompleteSuffix = ".capture";
inline constexpr std::string_view kFailedDirectory = "failed";
inline constexpr std::string_view kSequencesDirectory = "sequences";
inline constexpr std::string_view kOpenSequenceSuffix = ".progseq";
inline constexpr std::string_view kSequenceSuffix = ".seq";
inline constexpr std::string_view kTemporarySuffix = ".tmp";
inline constexpr std::string_view kDatasetUploadDirectory = "datasetUpload";

std::string CollectorDirectory(std::string_view capture_dir, std::string_view api,
                               std::string_view name, std::string_view method);

// The last two segments of that alone: whichever API the resource has.
std::string ResourceSegments(std::string_view name, std::string_view method);

std::string SequencesDirectory(std::string_view capture_dir);
// The id in the base name of a sequence that has ended, or has not (`suffix`); nullopt if it was
// not made here: ids are UUIDs.
std::optional<std::string> SequenceId(std::string_view base_name, std::string_view suffix);

// Base names for a file begun at `start`, cut to microseconds.
std::string InProgressName(WallTime start);
std::string CompleteName(WallTime start);

// The path under which a finished in-progress file is published.
std::string CompletePath(std::string_view in_progress_path);

bool IsInProgress(std::string_view base_name);
bool IsComplete(std::string_view base_name);

// When a file was begun, from its base name; nullopt if the name was not made here.
std::optional<WallTime> ParseStamp(std::string_view base_name);

// Where the remainder of a file that is damaged at `offset` is kept, beside the file or below
// failed/: under a name that neither sync nor recovery takes.
std::string CutPath(std::string_view path, uint64_t offset);
// Whether a base name is one of these, whole or still being written, or with a number.
bool IsRemainder(std::string_view base_name);
// The name of a remainder while it is being written: what it is taken from still stands.
std::string UnfinishedRemainderName(std::string_view remainder_name);
bool IsUnfinishedRemainder(std::string_view base_name);

// The base name of the file that receives the whole records of `base_name` from behind the damage
// at `offset`, until it is published.
std::string FurtherName(std::string_view base_name, uint64_t offset);
struct FurtherOf {
  std::string_view base_name;  // Of the damaged file, made by capture.
  uint64_t offset = 0;
};
std::optional<FurtherOf> ParseFurther(std::string_view base_name);

// Where the bytes of an in-progress file are kept that could be read back after its flush failed:
// beside the file, under a name that neither sync nor recovery takes.
std::string ReadBackPath(std::string_view path, int attempt);

// The time in a complete file's name, which is all that it takes to make the name again.
struct CompleteStamp {
  static constexpr int16_t kZulu = INT16_MIN;

  int64_t micros = 0;        // Since the epoch.
  int16_t zone_minutes = 0;  // East of UTC, as the name has it; kZulu for "Z".
};
// nullopt if AppendCompleteName would not make the same name of it.
std::optional<CompleteStamp> ParseComplete(std::string_view base_name);
// Appends the name that it stands for.
void AppendCompleteName(const CompleteStamp& stamp, std::string& out);

// Base names of what waits to be uploaded to datasets: `digest` is 32 hexadecimal digits,
// `extension` empty or begun by a dot.
std::string DatasetUploadName(std::string_view digest, std::string_view extension);
// "<digest><extension>".
std::string DatasetContentName(std::string_view upload_name);
// While it is being written: `attempt` tells apart those who write the same.
std::string DatasetInProgressName(std::string_view upload_name, int attempt);
// Whether the name was made here.
bool IsDatasetUpload(std::string_view base_name);
bool IsDatasetInProgress(std::string_view base_name);

// Whether a file system gives this name to a file that was removed while a process had it open:
// FUSE's .fuse_hidden<digits>, NFS's .nfs<digits>. It goes when the last one closes it; one that is
// left over by a crash of the file system was removed all the same.
bool IsRemovedWhileOpen(std::string_view base_name);

// Where a file below `root` is set aside.
std::string FailedPath(std::string_view root, std::string_view path);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_
