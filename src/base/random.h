// Random numbers, for what must not happen on all machines of a fleet at once.
#ifndef DATAMANAGER_SRC_BASE_RANDOM_H_
#define DATAMANAGER_SRC_BASE_RANDOM_H_

#include <random>

namespace datamanager {

// A number of [0, 1). Thread-safe.
inline double RandomFraction() {
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_RANDOM_H_
