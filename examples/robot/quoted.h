#ifndef DATAMANAGER_EXAMPLES_ROBOT_QUOTED_H_
#define DATAMANAGER_EXAMPLES_ROBOT_QUOTED_H_

#include <string>

namespace robot {

// What a user wrote, as it is named in an error.
inline std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_QUOTED_H_
