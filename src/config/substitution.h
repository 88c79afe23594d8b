// Environment variables in the strings of a config.
#ifndef DATAMANAGER_SRC_CONFIG_SUBSTITUTION_H_
#define DATAMANAGER_SRC_CONFIG_SUBSTITUTION_H_

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "config/findings.h"
#include "datamanager/value.h"

namespace datamanager::config {

// The value of an environment variable; nullopt if it is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// A copy of `document` in which the variables in the strings of `sections` (keys of the document,
// in any case) are replaced by their values: $NAME, ${NAME}, and ${NAME:-TEXT} with TEXT for one
// that is unset or empty. $$ is a dollar sign, and so is one that begins none of these. What the
// reference fills in later, ${packages...} and ${environment...}, stays. A value is not looked at
// again: a dollar sign in it is one.
//
// Notes as a fault a variable that is not set, or not UTF-8, and a ${ that is none of the above.
// What stands where a secret may stand is shown only if it is nothing but a ${NAME}: else a part of
// the secret itself might look like a name.
Value Substitute(const ValueMap& document, std::initializer_list<std::string_view> sections,
                 const Variables& variables, Findings& findings);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_SUBSTITUTION_H_
