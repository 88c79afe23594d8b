#include "tests/bench/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <utility>

namespace datamanager::bench {
namespace {

double Against(const Figure& figure, double value, double baseline) {
  return figure.against == Figure::Against::kRatio ? value / baseline : value - baseline;
}

}  // namespace

void Require(bool holds, const std::string& what) {
  if (!holds) throw Broken(what);
}

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

bool Row::noise_exceeds_margin() const {
  if (!noise.has_value()) return false;
  const double none = unit == "x" ? 1 : 0;
  return std::abs(noise->median - none) >= std::abs(bound - figure.median);
}

std::vector<Row> RowsOf(const std::string& id, const std::vector<Figure>& figures,
                        const std::vector<Round>& rounds) {
  std::vector<Row> rows;
  for (size_t i = 0; i < figures.size(); ++i) {
    const Figure& figure = figures[i];
    std::vector<double> values;
    std::vector<double> noise;
    for (const Round& round : rounds) {
      values.push_back(Against(figure, round.subject[i], round.baseline[i]));
      noise.push_back(Against(figure, round.baseline_again[i], round.baseline[i]));
    }
    rows.push_back({.id = id,
                    .what = figure.what,
                    .unit = figure.unit,
                    .bound = figure.bound,
                    .figure = SpreadOf(std::move(values)),
                    .noise = SpreadOf(std::move(noise)),
                    .broken = {}});
  }
  return rows;
}

std::vector<Row> Compare(const std::string& id, int rounds, const std::vector<Figure>& figures,
                         const Run& subject, const Run& baseline) {
  std::mt19937 random{std::random_device()()};
  std::vector<Round> done;
  for (int i = 0; i < rounds; ++i) {
    Round round;
    std::array<std::pair<const Run*, std::vector<double>*>, 3> variants{
        {{&subject, &round.subject},
         {&baseline, &round.baseline},
         {&baseline, &round.baseline_again}}};
    std::shuffle(variants.begin(), variants.end(), random);
    for (const auto& [run, measured] : variants) *measured = (*run)();
    done.push_back(std::move(round));
  }
  return RowsOf(id, figures, done);
}

}  // namespace datamanager::bench
