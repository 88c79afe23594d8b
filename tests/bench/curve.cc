#include "tests/bench/curve.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "config/json.h"
#include "tests/bench/report.h"

namespace datamanager::bench {
namespace {

constexpr std::array<const char*, 3> kKinds = {"subject", "baseline", "law"};

std::string JsonNumbers(const std::vector<Spread>& points, double Spread::*which) {
  return absl::StrCat("[",
                      absl::StrJoin(points, ", ",
                                    [&](std::string* out, const Spread& point) {
                                      const double number = point.*which;
                                      absl::StrAppend(out, std::isnan(number)
                                                               ? std::string("null")
                                                               : absl::StrCat(number));
                                    }),
                      "]");
}

std::string Json(const Axis& axis) {
  return absl::StrCat("{\"what\": ", Quoted(axis.what), ", \"unit\": ", Quoted(axis.unit), "}");
}

const Value& Field(const Value& value, std::string_view key, Value::Kind kind) {
  const Value* field = value.AsMap().Find(key);
  Require(field != nullptr && field->kind() == kind,
          absl::StrCat("no curve: ", std::string(key), " is missing"));
  return *field;
}
std::string Text(const Value& value, std::string_view key) {
  return std::string(Field(value, key, Value::Kind::kString).AsString());
}
Axis AxisOf(const Value& value) {
  return {.what = Text(value, "what"), .unit = Text(value, "unit")};
}
std::vector<double> Numbers(const Value& value, std::string_view key) {
  std::vector<double> numbers;
  for (const Value& number : Field(value, key, Value::Kind::kList).AsList()) {
    numbers.push_back(number.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                       : number.AsNumber());
  }
  return numbers;
}

}  // namespace

std::string Text(const Axis& axis) {
  return axis.unit.empty() ? axis.what : absl::StrCat(axis.what, " (", axis.unit, ")");
}

void Measure(std::vector<Curve>& curves, int rounds, const std::vector<Way>& ways) {
  const size_t sizes = curves.front().x.size();
  std::mt19937 random{std::random_device()()};
  // [way][index] holds what each round has measured.
  std::vector<std::vector<std::vector<std::vector<double>>>> measured(
      ways.size(), std::vector<std::vector<std::vector<double>>>(sizes));
  std::vector<std::pair<size_t, size_t>> order;
  for (size_t way = 0; way < ways.size(); ++way) {
    for (size_t index = 0; index < sizes; ++index) order.emplace_back(way, index);
  }
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const auto& [way, index] : order) measured[way][index].push_back(ways[way].run(index));
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    curves[i].rounds = rounds;
    for (size_t way = 0; way < ways.size(); ++way) {
      Series series{.kind = ways[way].kind, .name = ways[way].name, .points = {}};
      for (const auto& at : measured[way]) {
        std::vector<double> values;
        for (const std::vector<double>& of_round : at) values.push_back(of_round.at(i));
        series.points.push_back(SpreadOf(std::move(values)));
      }
      curves[i].series.push_back(std::move(series));
    }
  }
}

Series Law(const Curve& curve, const std::string& name,
           const std::function<double(double x)>& formula) {
  Series series{.kind = Series::Kind::kLaw, .name = name, .points = {}};
  for (const double x : curve.x) {
    const double y = formula(x);
    series.points.push_back({.median = y, .min = y, .max = y});
  }
  return series;
}

std::string Json(const Curve& curve) {
  return absl::StrCat(
      "{\n  \"id\": ", Quoted(curve.id), ",\n  \"title\": ", Quoted(curve.title),
      ",\n  \"x_axis\": ", Json(curve.x_axis), ",\n  \"y_axis\": ", Json(curve.y_axis),
      ",\n  \"log_y\": ", curve.log_y ? "true" : "false", ",\n  \"rounds\": ", curve.rounds,
      ",\n  \"x\": [", absl::StrJoin(curve.x, ", "), "],\n  \"series\": [\n    ",
      absl::StrJoin(curve.series, ",\n    ",
                    [](std::string* out, const Series& series) {
                      absl::StrAppend(
                          out, "{\"kind\": ", Quoted(kKinds[static_cast<size_t>(series.kind)]),
                          ", \"name\": ", Quoted(series.name),
                          ",\n      \"median\": ", JsonNumbers(series.points, &Spread::median),
                          ",\n      \"min\": ", JsonNumbers(series.points, &Spread::min),
                          ",\n      \"max\": ", JsonNumbers(series.points, &Spread::max), "}");
                    }),
      "\n  ]\n}\n");
}

Curve CurveOf(const std::string& json) {
  const absl::StatusOr<Value> parsed = config::ParseJson(json);
  Require(parsed.ok(), absl::StrCat("no curve: ", parsed.status().ToString()));
  Curve curve{.id = Text(*parsed, "id"),
              .title = Text(*parsed, "title"),
              .x_axis = AxisOf(Field(*parsed, "x_axis", Value::Kind::kMap)),
              .y_axis = AxisOf(Field(*parsed, "y_axis", Value::Kind::kMap)),
              .log_y = Field(*parsed, "log_y", Value::Kind::kBool).AsBool(),
              .rounds = static_cast<int>(Field(*parsed, "rounds", Value::Kind::kNumber).AsNumber()),
              .x = Numbers(*parsed, "x"),
              .series = {}};
  for (const Value& of : Field(*parsed, "series", Value::Kind::kList).AsList()) {
    const auto kind = std::find(kKinds.begin(), kKinds.end(), Text(of, "kind"));
    const std::vector<double> median = Numbers(of, "median");
    const std::vector<double> min = Numbers(of, "min");
    const std::vector<double> max = Numbers(of, "max");
    const size_t sizes = curve.x.size();
    Require(kind != kKinds.end() && median.size() == sizes && min.size() == sizes &&
                max.size() == sizes,
            "no curve: a series is not whole");
    Series series{.kind = static_cast<Series::Kind>(std::distance(kKinds.begin(), kind)),
                  .name = Text(of, "name"),
                  .points = {}};
    for (size_t i = 0; i < sizes; ++i) {
      series.points.push_back({.median = median[i], .min = min[i], .max = max[i]});
    }
    curve.series.push_back(std::move(series));
  }
  return curve;
}

std::string Table(const Curve& curve) {
  std::string table =
      absl::StrCat("\n", curve.title, ": ", Text(curve.y_axis), "\n\n| ", Text(curve.x_axis));
  for (const Series& series : curve.series) absl::StrAppend(&table, " | ", series.name);
  absl::StrAppend(&table, " |\n|");
  for (size_t i = 0; i <= curve.series.size(); ++i) absl::StrAppend(&table, " --- |");
  for (size_t i = 0; i < curve.x.size(); ++i) {
    absl::StrAppend(&table, "\n| ", curve.x[i]);
    for (const Series& series : curve.series) {
      absl::StrAppend(&table, " | ", absl::StrFormat("%.4g", series.points[i].median));
    }
    absl::StrAppend(&table, " |");
  }
  return table + "\n";
}

}  // namespace datamanager::bench
