// Renaming without replacing, where the file system does not offer it.
#ifndef DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_
#define DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_

#include "base/file_ops.h"

namespace datamanager {

// Does what FileOps::RenameNoReplaceAt does: reserves the name with an empty file, which it creates
// exclusively and locks, and renames onto that. All code that creates names exclusively, here and
// elsewhere, is kept out, and at no moment does a file have two names, as it would with a hard
// link. Three risks remain:
//   - A process that dies in between leaves the empty file. The next rename to that name replaces
//     it if it is open nowhere else; sync removes an empty capture file.
//   - A program may rename onto the name without a check, as it could at any time.
//   - A program may open the empty file and write to it without locking it: its data is lost.
int RenameOntoPlaceholder(FileOps& ops, int from_dir, const char* from, int to_dir, const char* to);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_
