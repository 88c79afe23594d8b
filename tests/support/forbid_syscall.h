// A sandbox that refuses one call of the system.
#ifndef DATAMANAGER_TESTS_SUPPORT_FORBID_SYSCALL_H_
#define DATAMANAGER_TESTS_SUPPORT_FORBID_SYSCALL_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstddef>

namespace datamanager::testing {

// From here on, this thread and those it starts get EPERM for the call `number`. False if the
// kernel has no such filters.
inline bool ForbidSyscall(unsigned number) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FORBID_SYSCALL_H_
