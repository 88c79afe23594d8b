// A bound for spans of time that come from outside.
#ifndef DATAMANAGER_SRC_BASE_LONGEST_SPAN_H_
#define DATAMANAGER_SRC_BASE_LONGEST_SPAN_H_

#include <algorithm>
#include <chrono>

namespace datamanager {

// Ten years: longer than any run, and short enough that a multiple of it can be added to an instant
// in nanoseconds, which overflows after 292 years.
inline constexpr std::chrono::hours kLongestSpan{24 * 365 * 10};

// Returns `span`, or the bound nearest to it. Applied wherever an option, a flag or an attribute
// enters, so that no later arithmetic can overflow.
template <typename Span>
constexpr Span Clamped(Span span) {
  return std::clamp<Span>(span, -Span(kLongestSpan), Span(kLongestSpan));
}

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_LONGEST_SPAN_H_
