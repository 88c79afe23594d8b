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

void Require(bool holds, std::string_view what) {
  if (!holds) throw Broken(std::string(what));
}

Spread SpreadOf(std::vector<double> values, double expected) {
  const auto median = [](std::vector<double>& of) {
    std::sort(of.begin(), of.end());
    const size_t middle = of.size() / 2;
    return of.size() % 2 == 1 ? of[middle] : (of[middle - 1] + of[middle]) / 2;
  };
  Spread spread{.median = median(values), .min = values.front(), .max = values.back()};
  for (double& value : values) value = std::abs(value - expected);
  spread.deviation = median(values);
  return spread;
}

bool Row::noise_exceeds_margin() const {
  return noise.has_value() && noise->deviation >= std::abs(bound - figure.median);
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
    rows.push_back(
        {.id = id,
         .what = figure.what,
         .unit = figure.unit,
         .bound = figure.bound,
         .figure = SpreadOf(std::move(values)),
         .noise = SpreadOf(std::move(noise), figure.against == Figure::Against::kRatio ? 1 : 0),
         .broken = {}});
  }
  return rows;
}

Row RowOf(const std::string& id, const Figure& figure, std::vector<double> values) {
  return {.id = id,
          .what = figure.what,
          .unit = figure.unit,
          .bound = figure.bound,
          .figure = SpreadOf(std::move(values)),
          .noise = {},
          .broken = {}};
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
