// Builds and parses all names that capture gives on disk and that sync finds there.
//
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.prog      being written
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.capture   published, to be uploaded
//   <root>/failed/<path below root>                           refused, or unreadable
//   <path>.cut-at-<offset>.prog                               a remainder: bytes of a damaged file
//                                                             that are no whole record; no owner
//   <path>.cut-at-<offset>.part.prog                          a remainder being written
//   <path>.further-at-<offset>.prog                           whole records from behind damage,
//                                                             until the file is cut there
//   <path>.read-back-<n>.prog                                 all that can be read after a failed
//                                                             flush; no owner
//   <root>/datasetUpload/<digest><extension>.upload           bytes for datasets, to be uploaded
//   <root>/datasetUpload/<digest><extension>.upload.<n>.prog  being written
//   <capture_dir>/sequences/<id>.progseq                      a sequence that has not ended
//   <capture_dir>/sequences/<id>.seq                          one that has ended, to be uploaded
//   <capture_dir>/sequences/<id>.<suffix>.tmp                 either of the two, not yet whole
//   <capture_dir>/stored-not-removed.prog                     what need not be sent again: see
//                                                             sync/stored_keys.h
//
// The stages of a file, with the owner of each and its end:
//
//   .prog, in progress    its collector, by flock. Each record is one write(2). Flushed to the
//                         medium by the keeper now and then (data, name, directory), if
//                         `durability` says so. Ends when it is full, at a flush, at the
//                         collector's end.
//   .prog, finished       the keeper: flush, rename, flush the directory.
//   .prog, left behind    no owner: its process has died, or could not rename it. Recovery claims
//                         it by the lock, and only if it is open nowhere else; cuts it where damage
//                         begins and publishes it; removes it if nothing whole is left. Whole
//                         records behind the damage go into a further file first, and all else that
//                         is not zeros goes into a remainder below failed/.
//   further, being made   the worker that makes it, by flock, and by the lock on the damaged file.
//                         Ends when that file is cut or removed: it becomes a complete file. Left
//                         behind by a dead process: made again as long as the damaged file is
//                         uncut, and published by recovery when that is cut or gone.
//   remainder, unfinished the worker that writes it, by flock. Left behind by a dead process, it is
//                         removed by the next attempt, or with the next remainder below that root;
//                         beside its file, where --repair writes it, by recovery.
//   .prog, removed        its collector still: another program took the name away. The keeper finds
//                         this within a second and asks the collector to finish the file. The
//                         records can still be read, and are copied to a new file in the directory,
//                         which is made again. A file that was moved, with its directory or alone,
//                         is published where it is.
//   .capture, waiting     no owner. Sync claims it for an upload, retention for its eviction.
//   .capture, uploading   an upload worker, by the tracker and by flock. Stored: removed. A
//                         transient failure: it waits again. Refused: failed/.
//   failed/, set aside    no owner, until an operator puts it back.
//   .upload.<n>.prog      the call that writes it, by flock. Flushed, renamed, and the directory is
//                         flushed; removed where that fails. Left behind by a dead process, it is
//                         removed when sync starts: no caller was told that it is there.
//   .upload, waiting      as .capture, but never evicted.
//   .progseq              capture control, by flock, until the sequence ends: then the .seq takes
//                         its place. Left behind by a dead process: recovery ends it.
//   .seq, waiting         as .upload; sync uploads it after its data.
//
// A rename never replaces a file: if the name is taken, it takes the next microsecond.
//
//   stamp = YYYY-MM-DDTHH_MM_SS.uuuuuu(Z | (+|-)HH_MM)         local time and its offset from UTC
//
// A stamp names one instant, and reads back as that instant in every zone. If the zone's offset is
// not a whole number of minutes, the stamp has the whole minutes and the local time that fits them.
// A second of 60, a leap second, is read but never written.
//
// ':' becomes '_' in the segments that capture makes, and in no other part of the path.
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
// It ends with .prog, so that sync does not upload it.
inline constexpr std::string_view kStoredKeysName = "stored-not-removed.prog";

// How many names are tried for a new file, one after the other, before all that are taken make an
// error.
inline constexpr int kNameAttempts = 10000;

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

// Returns where the remainder of a file that is damaged at `offset` is kept, beside the file or
// below failed/. Neither sync nor recovery takes files of that name.
std::string CutPath(std::string_view path, uint64_t offset);
// Whether a base name is that of a remainder: whole or still being written, or with a number.
bool IsRemainder(std::string_view base_name);
// Returns the name of a remainder while it is being written. The damaged file is still unchanged.
std::string UnfinishedRemainderName(std::string_view remainder_name);
bool IsUnfinishedRemainder(std::string_view base_name);

// Returns the base name of the file that receives the whole records behind the damage at `offset`
// of `base_name`, until it is published.
std::string FurtherName(std::string_view base_name, uint64_t offset);
struct FurtherOf {
  std::string_view base_name;  // The base name of the damaged file, made by capture.
  uint64_t offset = 0;
};
std::optional<FurtherOf> ParseFurther(std::string_view base_name);

// Returns where the readable bytes of an in-progress file are kept after its flush failed: beside
// the file. Neither sync nor recovery takes files of that name.
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
// FUSE's .fuse_hidden<digits>, NFS's .nfs<digits>. The name vanishes when the last process closes
// the file; one that remains after a crash of the file system was removed as well.
bool IsRemovedWhileOpen(std::string_view base_name);

// Where a file below `root` is set aside.
std::string FailedPath(std::string_view root, std::string_view path);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_
