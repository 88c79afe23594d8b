// Compares random answers of every method with what Protobuf would have written, for as long as it
// is told to, from another seed each time.
//   encoder_soak [SECONDS [SEED]]
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "tests/capture/encoder_fuzz.h"

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  const auto seed =
      argc > 2 ? static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)) : std::random_device()();
  std::printf("seed %u\n", seed);
  datamanager::testing::EncoderFuzz fuzz(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    for (const datamanager::capture::Method& method : datamanager::capture::AllMethods()) {
      const std::string difference = fuzz.Try(method);
      if (difference.empty()) continue;
      std::printf("%s\n", difference.c_str());
      return 1;
    }
  }
  std::printf("%llu answers stored, %llu refused, no difference\n",
              static_cast<unsigned long long>(fuzz.stored()),
              static_cast<unsigned long long>(fuzz.refused()));
  return fuzz.stored() > 0 ? 0 : 1;
}
