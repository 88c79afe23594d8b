// What to do about a text that is no JSON.
#ifndef DATAMANAGER_SRC_CONFIG_JSON_HINT_H_
#define DATAMANAGER_SRC_CONFIG_JSON_HINT_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace datamanager::config {

// Of the slips that people make, the one that is at, or right before, the place where the parser
// stopped: a comment, a variable without quotes, a comma too many or too few, a page of HTML. Empty
// if it is none of them. Pure.
std::string_view JsonHint(std::string_view text, std::optional<size_t> offset);

// Where the first byte lies that is not UTF-8; nullopt if all is. Pure.
std::optional<size_t> FirstNotUtf8(std::string_view text);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_JSON_HINT_H_
