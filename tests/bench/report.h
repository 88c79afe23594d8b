// The table of all benches, for people and as JSON.
#ifndef DATAMANAGER_TESTS_BENCH_REPORT_H_
#define DATAMANAGER_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "tests/bench/compare.h"

namespace datamanager::bench {

// A Markdown table, as it stands in the README.
std::string Table(const std::vector<Row>& rows);
// An array of {"id", "what", "ratio", "bound", "holds"} and further "unit", "min", "max", "noise"
// with "noise_min" and "noise_max", "noise_exceeds_margin", "broken". "ratio" is a figure in
// `unit`, where that is not "x"; null if the bench is broken.
std::string Json(const std::vector<Row>& rows);
// Text as JSON has it.
std::string Quoted(const std::string& text);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_REPORT_H_
