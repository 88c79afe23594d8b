// How one way to do a job compares with another, on a machine that is busy with other things.
//
// In each round every variant runs once, in random order; what counts is the median over the rounds
// of what the two come to in the same round. The baseline runs twice a round: how it compares with
// itself is the noise.
#ifndef DATAMANAGER_TESTS_BENCH_COMPARE_H_
#define DATAMANAGER_TESTS_BENCH_COMPARE_H_

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace datamanager::bench {

// A run did not do what it should, so that its measure means nothing.
class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// A resource that a run needs is missing here: there is nothing to measure.
class Skipped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// Throws Broken with `what` unless it is true.
void Require(bool holds, std::string_view what);

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
  double deviation = 0;  // The median distance from what was expected, if anything was.
};
// Of one value or more.
Spread SpreadOf(std::vector<double> values, double expected = 0);

// One line of the table.
struct Row {
  std::string id;
  std::string what;
  std::string unit;  // "x" for a ratio.
  double bound = 0;
  Spread figure;
  std::optional<Spread> noise;  // Where there is a baseline.
  std::string broken;           // Why there is no figure.

  bool holds() const { return broken.empty() && figure.median <= bound; }
  // Whether the baseline, against itself, is mostly as far from where it should be as the figure is
  // from its bound.
  bool noise_exceeds_margin() const;
};

// What a run measures, and what may come of it.
struct Figure {
  enum class Against : uint8_t { kRatio, kDifference };

  std::string what;
  double bound = 0;
  std::string unit = "x";
  Against against = Against::kRatio;
};

// Yields a number for each figure.
using Run = std::function<std::vector<double>()>;

// What one round has measured, and how rounds become rows.
struct Round {
  std::vector<double> subject;
  std::vector<double> baseline;
  std::vector<double> baseline_again;
};
std::vector<Row> RowsOf(const std::string& id, const std::vector<Figure>& figures,
                        const std::vector<Round>& rounds);

// A row of what has no baseline.
Row RowOf(const std::string& id, const Figure& figure, std::vector<double> values);

// Runs that many rounds. Throws what a run throws.
std::vector<Row> Compare(const std::string& id, int rounds, const std::vector<Figure>& figures,
                         const Run& subject, const Run& baseline);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_COMPARE_H_
