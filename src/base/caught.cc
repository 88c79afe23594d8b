#include "base/caught.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager {

absl::Status CaughtStatus(std::string_view what) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(ToAbsl(what), " found no memory"));
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat(ToAbsl(what), " threw: ", e.what()));
  } catch (...) {
    return absl::InternalError(
        absl::StrCat(ToAbsl(what), " threw something that is no std::exception"));
  }
}

}  // namespace datamanager
