// How a cost grows: what is measured of several ways to do a job, over a range of sizes.
#ifndef DATAMANAGER_TESTS_BENCH_CURVE_H_
#define DATAMANAGER_TESTS_BENCH_CURVE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/compare.h"

namespace datamanager::bench {

struct Axis {
  std::string what;
  std::string unit;  // May be empty.
};
std::string Text(const Axis& axis);

struct Series {
  enum class Kind : uint8_t {
    kSubject,   // The library.
    kBaseline,  // The bare machine; the n-th baseline goes with the n-th subject.
    kLaw,       // What a formula says. NaN where it says nothing.
  };

  Kind kind = Kind::kSubject;
  std::string name;
  std::vector<Spread> points;  // One for each x.
};

struct Curve {
  std::string id;  // Names its files.
  std::string title;
  Axis x_axis;
  Axis y_axis;
  bool log_y = true;
  int rounds = 0;
  std::vector<double> x;  // Rising; the first may be 0.
  std::vector<Series> series;
};

// One way to do the job.
struct Way {
  Series::Kind kind = Series::Kind::kSubject;
  std::string name;
  // Does it for one of the x; yields a number for each curve. Throws Broken.
  std::function<std::vector<double>(size_t index)> run;
};
// Adds a series for each way to each of the curves, which have the same x. In each round every way
// runs once for each x, all in random order; a point is the median over the rounds.
void Measure(std::vector<Curve>& curves, int rounds, const std::vector<Way>& ways);

// A series by formula.
Series Law(const Curve& curve, const std::string& name,
           const std::function<double(double x)>& formula);

std::string Json(const Curve& curve);
// What Json wrote. Throws Broken if it is something else.
Curve CurveOf(const std::string& json);
// The medians, as a Markdown table.
std::string Table(const Curve& curve);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_CURVE_H_
