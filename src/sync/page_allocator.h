// Memory by the page, for a table that is large for a while.
#ifndef DATAMANAGER_SRC_SYNC_PAGE_ALLOCATOR_H_
#define DATAMANAGER_SRC_SYNC_PAGE_ALLOCATOR_H_

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace datamanager::sync {

// An allocator that asks the kernel, and gives everything back at once: malloc keeps what a thread
// frees for that thread, and passes run on any. What is reserved takes no memory before it is
// written to. Thread-safe.
template <typename T>
struct PageAllocator {
  using value_type = T;

  PageAllocator() = default;
  template <typename U>
  explicit PageAllocator(const PageAllocator<U>&) {}

  T* allocate(size_t count) {
    void* const pages = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(pages);
  }
  void deallocate(T* at, size_t count) { ::munmap(at, count * sizeof(T)); }

  friend bool operator==(const PageAllocator&, const PageAllocator&) { return true; }
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PAGE_ALLOCATOR_H_
