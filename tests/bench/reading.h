// The reading that the benches capture: six values, as a small sensor has them.
#ifndef DATAMANAGER_TESTS_BENCH_READING_H_
#define DATAMANAGER_TESTS_BENCH_READING_H_

#include "datamanager/source.h"

namespace datamanager::bench {

inline void FillReading(double value, Readings& out) {
  out.Set("temperature_celsius", value);
  out.Set("humidity_percent", value + 1);
  out.Set("pressure_hpa", value + 2);
  out.Set("voltage", value + 3);
  out.Set("healthy", true);
  out.Set("state", "running");
}

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_READING_H_
