// What becomes of the measures of a curve: its points, its data, its plot.
#include "tests/bench/curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/bench/plot.h"

namespace datamanager::bench {
namespace {

Curve CurveFrom(std::vector<double> x) {
  return {.id = "it",
          .title = "Cost & use",
          .x_axis = {.what = "size", .unit = "bytes"},
          .y_axis = {.what = "time", .unit = "µs"},
          .x = std::move(x),
          .series = {}};
}

// Where the line of each series goes.
std::vector<std::vector<std::pair<double, double>>> Lines(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::vector<std::string> parts = absl::StrSplit(svg, "<polyline points=\"");
  for (size_t i = 1; i < parts.size(); ++i) {
    lines.emplace_back();
    const std::string points = parts[i].substr(0, parts[i].find('"'));
    const std::vector<std::string> split = absl::StrSplit(points, ' ');
    for (const std::string& point : split) {
      auto& [x, y] = lines.back().emplace_back();
      EXPECT_EQ(std::sscanf(point.c_str(), "%lf,%lf", &x, &y), 2) << point;
    }
  }
  return lines;
}

TEST(CurveTest, APointIsTheMedianOfItsRounds) {
  std::vector<Curve> curves = {CurveFrom({1, 2}), CurveFrom({1, 2})};
  double runs[2] = {};
  Measure(curves, 3, {{.kind = Series::Kind::kSubject, .name = "it", .run = [&](size_t index) {
                         const double run = ++runs[index];
                         return std::vector<double>{run * run, static_cast<double>(index)};
                       }}});
  for (const Curve& curve : curves) {
    EXPECT_EQ(curve.rounds, 3);
    ASSERT_EQ(curve.series.size(), 1U);
    ASSERT_EQ(curve.series[0].points.size(), 2U);
  }
  for (const Spread& point : curves[0].series[0].points) {
    EXPECT_EQ(point.min, 1);
    EXPECT_EQ(point.median, 4);
    EXPECT_EQ(point.max, 9);
  }
  EXPECT_EQ(curves[1].series[0].points[1].median, 1);
}

TEST(CurveTest, IsReadAsItWasWritten) {
  Curve curve = CurveFrom({0, 10, 100});
  curve.log_y = false;
  curve.rounds = 7;
  curve.series.push_back({.kind = Series::Kind::kBaseline,
                          .name = "\"bare\"",
                          .points = {{.median = 2, .min = 1, .max = 3},
                                     {.median = 20.5, .min = 20, .max = 21},
                                     {.median = 0, .min = -1, .max = 1}}});
  curve.series.push_back(Law(curve, "x", [](double x) { return x > 0 ? x : std::nan(""); }));
  const Curve read = CurveOf(Json(curve));
  EXPECT_EQ(Json(read), Json(curve));
  EXPECT_EQ(read.series[0].points[1].max, 21);
  EXPECT_EQ(read.series[1].kind, Series::Kind::kLaw);
  EXPECT_TRUE(std::isnan(read.series[1].points[0].median));
  EXPECT_THROW(CurveOf("{\"id\": \"it\"}"), Broken);
  EXPECT_THROW(CurveOf("{"), Broken);
}

TEST(PlotTest, APowerLawIsAStraightLine) {
  Curve curve = CurveFrom({10, 100, 1000, 10000});
  Series linear{.kind = Series::Kind::kSubject, .name = "linear", .points = {}};
  Series flat{.kind = Series::Kind::kBaseline, .name = "flat", .points = {}};
  for (const double x : curve.x) {
    linear.points.push_back({.median = x * 3, .min = x * 3, .max = x * 3});
    flat.points.push_back({.median = 50, .min = 50, .max = 50});
  }
  curve.series = {linear, flat};
  const std::string svg = Svg(curve);
  const auto lines = Lines(svg);
  ASSERT_EQ(lines.size(), 2U);
  for (size_t i = 1; i < curve.x.size(); ++i) {
    EXPECT_NEAR(lines[0][i].first - lines[0][i - 1].first, lines[0][1].first - lines[0][0].first,
                0.2);
    EXPECT_NEAR(lines[0][i - 1].second - lines[0][i].second,
                lines[0][0].second - lines[0][1].second, 0.2);
    EXPECT_EQ(lines[1][i].second, lines[1][0].second);
  }
  EXPECT_GT(lines[0][0].second, lines[0][1].second + 10) << "more is not higher";
  for (const char* text : {"Cost &amp; use", "size (bytes)", "time (µs)", ">linear<", ">10k<"}) {
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  }
}

TEST(PlotTest, ZeroHasAPlaceOfItsOwnAndALawMayBeSilentThere) {
  Curve curve = CurveFrom({0, 1, 10});
  curve.series.push_back({.kind = Series::Kind::kSubject,
                          .name = "it",
                          .points = {{.median = 1, .min = 1, .max = 1},
                                     {.median = 2, .min = 2, .max = 2},
                                     {.median = 3, .min = 3, .max = 3}}});
  curve.series.push_back(Law(curve, "x", [](double x) { return x > 0 ? x : std::nan(""); }));
  const auto lines = Lines(Svg(curve));
  ASSERT_EQ(lines.size(), 2U);
  ASSERT_EQ(lines[0].size(), 3U);
  EXPECT_LT(lines[0][0].first, lines[0][1].first);
  EXPECT_EQ(lines[1].size(), 2U);
}

}  // namespace
}  // namespace datamanager::bench
