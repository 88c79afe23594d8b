// A curve as a picture.
#ifndef DATAMANAGER_TESTS_BENCH_PLOT_H_
#define DATAMANAGER_TESTS_BENCH_PLOT_H_

#include <string>

#include "tests/bench/curve.h"

namespace datamanager::bench {

// An SVG document on a white ground. The library is drawn solid, the bare machine dashed with
// hollow points, a law dotted; a bar at a point reaches from the least of its rounds to the most.
// The x axis is logarithmic, with a place of its own for 0; so is the y axis, unless the curve
// says otherwise: then it begins at 0.
std::string Svg(const Curve& curve);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_PLOT_H_
