#include "sync/page_allocator.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace datamanager::sync {
namespace {

// Pages of what is reserved that are in memory.
template <typename Vector>
size_t ResidentPages(Vector& vector) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t size = vector.capacity() * sizeof(vector[0]);
  std::vector<unsigned char> pages((size + page - 1) / page);
  EXPECT_EQ(::mincore(vector.data(), size, pages.data()), 0);
  return static_cast<size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char flags) { return flags & 1; }));
}

TEST(PageAllocatorTest, WhatIsReservedTakesMemoryOnlyWhereItIsWritten) {
  std::vector<uint64_t, PageAllocator<uint64_t>> numbers;
  numbers.reserve(1 << 20);
  EXPECT_EQ(ResidentPages(numbers), 0U);
  numbers.push_back(1);
  const size_t few = ResidentPages(numbers);
  EXPECT_GE(few, 1U);
  EXPECT_LE(few, 512U);  // A large page, where the kernel hands out these.
  for (uint64_t i = 1; i < numbers.capacity(); ++i) numbers.push_back(i + 1);
  EXPECT_GT(ResidentPages(numbers), few);
  EXPECT_EQ(numbers.front(), 1U);
  EXPECT_EQ(numbers.back(), numbers.size());
}

TEST(PageAllocatorTest, WhatGrowsOrMovesIsKept) {
  std::vector<uint32_t, PageAllocator<uint32_t>> numbers;
  for (uint32_t i = 0; i < 10000; ++i) numbers.push_back(i);
  auto moved = std::move(numbers);
  const auto copy = moved;
  moved.clear();
  moved.shrink_to_fit();
  for (uint32_t i = 0; i < 10000; ++i) ASSERT_EQ(copy[i], i);
}

}  // namespace
}  // namespace datamanager::sync
