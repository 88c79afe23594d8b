#include "tests/bench/report.h"

#include <cmath>
#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace datamanager::bench {
namespace {

std::string Number(double number) {
  return std::abs(number) < 100 ? absl::StrFormat("%.3g", number) : absl::StrFormat("%.0f", number);
}

std::string Text(const Spread& spread) {
  return absl::StrCat(Number(spread.median), " (", Number(spread.min), " … ", Number(spread.max),
                      ")");
}

std::string Verdict(const Row& row) {
  if (!row.broken.empty()) return absl::StrCat("broken: ", row.broken);
  return absl::StrCat(row.holds() ? "yes" : "NO",
                      row.noise_exceeds_margin() ? ", but the noise exceeds the margin" : "");
}

std::string Json(const Row& row) {
  const bool measured = row.broken.empty();
  const auto number = [&](double value) {
    return measured ? absl::StrCat(value) : std::string("null");
  };
  std::string json = absl::StrCat(
      "{\"id\": ", Quoted(row.id), ", \"what\": ", Quoted(row.what),
      ", \"ratio\": ", number(row.figure.median), ", \"bound\": ", row.bound,
      ", \"holds\": ", row.holds() ? "true" : "false", ", \"unit\": ", Quoted(row.unit),
      ", \"min\": ", number(row.figure.min), ", \"max\": ", number(row.figure.max));
  if (row.noise.has_value()) {
    absl::StrAppend(&json, ", \"noise\": ", row.noise->median, ", \"noise_min\": ", row.noise->min,
                    ", \"noise_max\": ", row.noise->max,
                    ", \"noise_exceeds_margin\": ", row.noise_exceeds_margin() ? "true" : "false");
  }
  if (!measured) absl::StrAppend(&json, ", \"broken\": ", Quoted(row.broken));
  return json + "}";
}

}  // namespace

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + '"';
}

std::string Table(const std::vector<Row>& rows) {
  std::string table =
      "| | what | median (min … max) | at most | baseline against itself | holds |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const Row& row : rows) {
    absl::StrAppend(&table, "| ", row.id, " | ", row.what, " | ",
                    row.broken.empty() ? absl::StrCat(Text(row.figure), " ", row.unit) : "–", " | ",
                    Number(row.bound), " ", row.unit, " | ",
                    row.noise.has_value() ? Text(*row.noise) : std::string("–"), " | ",
                    Verdict(row), " |\n");
  }
  return table;
}

std::string Json(const std::vector<Row>& rows) {
  return absl::StrCat(
      "[\n  ",
      absl::StrJoin(rows, ",\n  ",
                    [](std::string* out, const Row& row) { absl::StrAppend(out, Json(row)); }),
      "\n]\n");
}

}  // namespace datamanager::bench
