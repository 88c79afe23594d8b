// Renaming without replacing, where the file system does not offer it.
#ifndef DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_
#define DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_

#include "base/file_ops.h"

namespace datamanager {

// As FileOps::RenameNoReplaceAt: reserves the name with an empty file, made exclusively and locked,
// and renames onto that. All that makes names exclusively, here and elsewhere, is kept out, and no
// file has two names at any moment, as with a hard link. Three things remain:
//   - A process that dies in between leaves the empty file. The next rename to that name replaces
//     it, if nobody has it open; an empty capture file is removed by sync.
//   - A program that renames onto the name without asking, as it could at any time.
//   - A program that opens the empty file and writes to it without locking it: what it writes is
//     lost.
int RenameOntoPlaceholder(FileOps& ops, int from_dir, const char* from, int to_dir, const char* to);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_EXCLUSIVE_RENAME_H_
