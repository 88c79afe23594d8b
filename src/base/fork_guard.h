// Keeps what this process has open away from its forked children.
#ifndef DATAMANAGER_SRC_BASE_FORK_GUARD_H_
#define DATAMANAGER_SRC_BASE_FORK_GUARD_H_

namespace datamanager {

// A child that fork(2) makes shares every open file with its parent: as long as it lives, a file
// that the parent has locked stays locked after the parent has closed it, and one that the parent
// wrote counts as open for writing, so that no lease for its upload is given. O_CLOEXEC helps only
// a child that calls exec; Python's multiprocessing does not.
//
// In a child, each guarded descriptor is replaced by /dev/null right after the fork: the number
// stays taken, so that nothing of the child's own gets it. A handler of pthread_atfork does that
// with nothing but open(2) and dup2(2). Children that are not made by fork(3), such as those of a
// bare clone(2), are not reached, nor are the descriptors above 2^20, nor one that another thread
// opens or closes at the very moment of the fork.
//
// Thread-safe, and lock-free.
void GuardFromFork(int fd);
// Before the descriptor is closed or given away.
void UnguardFromFork(int fd);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_FORK_GUARD_H_
