#include "tests/bench/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace datamanager::bench {
namespace {

constexpr double kWidth = 500;
constexpr double kLeft = 64;
constexpr double kRight = kWidth - 18;
constexpr double kTop = 40;
constexpr double kBottom = 270;
constexpr double kLegend = kBottom + 60;  // The base line of its first row.
constexpr double kLegendRow = 18;
constexpr std::array<const char*, 2> kColors = {"#0b5cad", "#c2410c"};
constexpr const char* kLawColor = "#444444";

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

// 10k for 10,000.
std::string Short(double number) {
  if (number >= 1e6) return absl::StrFormat("%.4gM", number / 1e6);
  if (number >= 1e3) return absl::StrFormat("%.4gk", number / 1e3);
  return absl::StrFormat("%.4g", number);
}

// The nearest of 1, 2 and 5 times a power of ten that is not beyond `number`.
double NiceBelow(double number) {
  const double decade = std::pow(10, std::floor(std::log10(number) + 1e-9));
  for (const double step : {5.0, 2.0}) {
    if (number >= decade * step * (1 - 1e-9)) return decade * step;
  }
  return decade;
}
double NiceAbove(double number) { return 1 / NiceBelow(1 / number); }

// Where numbers lie on an axis.
struct Scale {
  bool log = true;
  double low = 1;
  double high = 10;
  double begin = 0;  // In the picture.
  double end = 0;

  double At(double number) const {
    const double part =
        log ? std::log10(number / low) / std::log10(high / low) : (number - low) / (high - low);
    return begin + part * (end - begin);
  }
};

class Picture {
 public:
  explicit Picture(const Curve& curve) : curve_(curve) {
    ScaleX();
    ScaleY();
  }

  std::string Draw() {
    const double height =
        kLegend + kLegendRow * std::ceil(static_cast<double>(curve_.series.size()) / 2);
    Add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
        "height=\"%g\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" "
        "fill=\"#222222\">",
        kWidth, height, kWidth, height);
    Add("<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>", kWidth, height);
    Add("<text x=\"%g\" y=\"22\" font-size=\"14\" font-weight=\"bold\" "
        "text-anchor=\"middle\">%s</text>",
        kWidth / 2, Escaped(curve_.title));
    DrawXAxis();
    DrawYAxis();
    Add("<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"none\" stroke=\"#222222\"/>",
        kLeft, kTop, kRight - kLeft, kBottom - kTop);
    DrawSeries();
    return svg_ + "</svg>\n";
  }

 private:
  template <typename... Args>
  void Add(const absl::FormatSpec<Args...>& format, const Args&... args) {
    absl::StrAppend(&svg_, absl::StrFormat(format, args...), "\n");
  }

  void ScaleX() {
    const double first = curve_.x.front() > 0 ? curve_.x.front() : curve_.x.at(1);
    // Room at both sides; half a decade more for 0.
    low_x_ = curve_.x.front() > 0 ? first : first / std::sqrt(10);
    const double margin = std::pow(curve_.x.back() / low_x_, 0.03);
    x_ = {.low = low_x_ / margin, .high = curve_.x.back() * margin, .begin = kLeft, .end = kRight};
  }
  void ScaleY() {
    double low = HUGE_VAL;
    double high = 0;
    for (const Series& series : curve_.series) {
      for (const Spread& point : series.points) {
        // A law counts only where it is met.
        if (std::isnan(point.median) || series.kind == Series::Kind::kLaw) continue;
        low = std::min(low, point.min);
        high = std::max(high, point.max);
      }
    }
    y_ = {.log = curve_.log_y,
          .low = curve_.log_y ? NiceBelow(low) : std::min(0.0, low),
          .high = NiceAbove(high),
          .begin = kBottom,
          .end = kTop};
    // Else what is flat would look steep.
    if (curve_.log_y && y_.high < y_.low * 10) y_.low = NiceBelow(y_.high / 10);
  }

  double X(double x) const { return x_.At(x > 0 ? x : low_x_); }

  void DrawXAxis() {
    for (const double x : curve_.x) {
      const double at = X(x);
      Add("<line x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\" stroke=\"#dddddd\"/>", at, kTop, at,
          kBottom);
      Add("<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>", at, kBottom + 16, Short(x));
    }
    if (curve_.x.front() == 0) {  // The axis is broken between 0 and what follows.
      const double at = (X(0) + X(curve_.x.at(1))) / 2;
      Add("<path d=\"M%.1f %g l4 -8 m2 0 l-4 8\" stroke=\"#222222\" fill=\"none\"/>", at - 3,
          kBottom + 4);
    }
    Add("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>", (kLeft + kRight) / 2,
        kBottom + 35, Escaped(Text(curve_.x_axis)));
  }

  void DrawYAxis() {
    const auto tick = [&](double y, bool labelled) {
      if (y < y_.low * (1 - 1e-9) || y > y_.high * (1 + 1e-9)) return;
      const double at = y_.At(y);
      Add("<line x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\" stroke=\"%s\"/>", kLeft, at, kRight,
          at, labelled ? "#dddddd" : "#f0f0f0");
      if (labelled) {
        Add("<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>", kLeft - 6, at + 4, Short(y));
      }
    };
    if (y_.log) {
      const bool narrow = y_.high / y_.low <= 1001;
      for (double decade = std::pow(10, std::floor(std::log10(y_.low))); decade <= y_.high * 1.001;
           decade *= 10) {
        for (int step = 1; step < 10; ++step) {
          tick(decade * step, step == 1 || (narrow && (step == 2 || step == 5)));
        }
      }
    } else {
      const double step = NiceBelow(y_.high / 4);
      for (int i = 0; i * step <= y_.high * 1.001; ++i) tick(i * step, true);
    }
    Add("<text transform=\"translate(16 %g) rotate(-90)\" text-anchor=\"middle\">%s</text>",
        (kTop + kBottom) / 2, Escaped(Text(curve_.y_axis)));
  }

  void DrawSeries() {
    Add("<clipPath id=\"inside\"><rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\"/></clipPath>",
        kLeft, kTop, kRight - kLeft, kBottom - kTop);
    std::array<size_t, 3> of_kind{};
    for (size_t i = 0; i < curve_.series.size(); ++i) {
      const Series& series = curve_.series[i];
      const size_t number = of_kind[static_cast<size_t>(series.kind)]++;
      const bool law = series.kind == Series::Kind::kLaw;
      const char* const color = law ? kLawColor : kColors[number % kColors.size()];
      const char* const dashes = law                                      ? "1.5 3"
                                 : series.kind == Series::Kind::kBaseline ? "6 3"
                                                                          : "none";
      const char* const fill = series.kind == Series::Kind::kBaseline ? "#ffffff" : color;
      Add("<g stroke=\"%s\" clip-path=\"url(#inside)\">", color);
      std::string line;
      for (size_t at = 0; at < curve_.x.size(); ++at) {
        const Spread& point = series.points[at];
        if (std::isnan(point.median)) continue;
        absl::StrAppendFormat(&line, "%s%.1f,%.1f", line.empty() ? "" : " ", X(curve_.x[at]),
                              y_.At(point.median));
        if (law) continue;
        Add("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke-opacity=\"0.45\"/>",
            X(curve_.x[at]), y_.At(point.min), X(curve_.x[at]), y_.At(point.max));
      }
      Add("<polyline points=\"%s\" fill=\"none\" stroke-width=\"1.8\" stroke-dasharray=\"%s\"/>",
          line, dashes);
      for (size_t at = 0; at < curve_.x.size() && !law; ++at) {
        Mark(X(curve_.x[at]), y_.At(series.points[at].median), fill);
      }
      Add("</g>");

      const double x = i % 2 == 0 ? kLeft - 44 : kWidth / 2 + 6;
      const double y = kLegend + kLegendRow * static_cast<double>(i / 2);
      Add("<g stroke=\"%s\"><line x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\" stroke-width=\"1.8\" "
          "stroke-dasharray=\"%s\"/>",
          color, x, y - 4, x + 26, y - 4, dashes);
      if (!law) Mark(x + 13, y - 4, fill);
      Add("</g><text x=\"%g\" y=\"%g\">%s</text>", x + 32, y, Escaped(series.name));
    }
  }
  void Mark(double x, double y, const char* fill) {
    Add("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>", x, y, fill);
  }

  const Curve& curve_;
  double low_x_ = 1;  // Where 0 stands.
  Scale x_;
  Scale y_;
  std::string svg_;
};

}  // namespace

std::string Svg(const Curve& curve) { return Picture(curve).Draw(); }

}  // namespace datamanager::bench
