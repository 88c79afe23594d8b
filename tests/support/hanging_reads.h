// A disk whose reads of files can be made to hang.
#ifndef DATAMANAGER_TESTS_SUPPORT_HANGING_READS_H_
#define DATAMANAGER_TESTS_SUPPORT_HANGING_READS_H_

#include "base/file_ops.h"
#include "tests/support/gate.h"

namespace datamanager::testing {

// While the gate is closed, reads wait at it.
class HangingReads final : public FileOps {
 public:
  Gate& gate() { return gate_; }
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    gate_.Pass();
    return FileOps::Pread(fd, data, size, offset);
  }

 private:
  Gate gate_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_HANGING_READS_H_
