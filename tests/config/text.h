// What tests say about text.
#ifndef DATAMANAGER_TESTS_CONFIG_TEXT_H_
#define DATAMANAGER_TESTS_CONFIG_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

namespace datamanager {

using Lines = std::vector<std::string>;

inline bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace datamanager

#endif  // DATAMANAGER_TESTS_CONFIG_TEXT_H_
