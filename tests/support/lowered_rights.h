// Permissions, where the tests run as root.
#ifndef DATAMANAGER_TESTS_SUPPORT_LOWERED_RIGHTS_H_
#define DATAMANAGER_TESTS_SUPPORT_LOWERED_RIGHTS_H_

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>

namespace datamanager::testing {

// While it lives, permissions hold for this thread and for those that it starts, even if it is
// root's: without the powers to read, write and remove whatever there is, and to take a lease on
// what is another's. Without root there is nothing to lower.
class LoweredRights {
 public:
  LoweredRights() {
    if (::syscall(SYS_capget, &header_, before_) != 0) throw std::runtime_error("capget");
    __user_cap_data_struct lowered[_LINUX_CAPABILITY_U32S_3] = {before_[0], before_[1]};
    for (const int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_LEASE}) {
      lowered[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
    }
    Set(lowered);
  }
  ~LoweredRights() { Set(before_); }
  LoweredRights(const LoweredRights&) = delete;
  LoweredRights& operator=(const LoweredRights&) = delete;

 private:
  void Set(__user_cap_data_struct* data) {
    if (::syscall(SYS_capset, &header_, data) != 0) throw std::runtime_error("capset");
  }

  __user_cap_header_struct header_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct before_[_LINUX_CAPABILITY_U32S_3] = {};
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_LOWERED_RIGHTS_H_
