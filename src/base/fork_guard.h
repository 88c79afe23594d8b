// Keeps the open files of this process away from its forked children.
#ifndef DATAMANAGER_SRC_BASE_FORK_GUARD_H_
#define DATAMANAGER_SRC_BASE_FORK_GUARD_H_

namespace datamanager {

// A child made by fork(2) shares every open file with its parent. As long as the child lives, a
// file that the parent has locked stays locked after the parent has closed it, and a file that the
// parent wrote counts as open for writing, so that its upload gets no lease. O_CLOEXEC helps only
// if the child calls exec; Python's multiprocessing does not.
//
// In a child, a handler of pthread_atfork replaces each guarded descriptor by /dev/null right after
// the fork, with nothing but open(2) and dup2(2). The number stays taken, so that no file of the
// child gets it. The handler does not reach children that are not made by fork(3), such as those of
// a bare clone(2), descriptors above 2^20, or one that another thread opens or closes at the very
// moment of the fork.
//
// Thread-safe, and lock-free.
void GuardFromFork(int fd);
// Call it before the descriptor is closed or given away.
void UnguardFromFork(int fd);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_FORK_GUARD_H_
