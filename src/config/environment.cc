#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "config/effective_config.h"

namespace datamanager::config {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets any.
  return value == nullptr ? "" : value;
}

std::string HomeOfUser() {
  std::vector<char> buffer(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) != 0) return "";
  return found == nullptr || found->pw_dir == nullptr ? "" : found->pw_dir;
}

}  // namespace

Environment Environment::OfProcess(bool untrusted) {
  Environment environment;
  environment.home = Variable("HOME");
  if (environment.home.empty()) environment.home = HomeOfUser();
  environment.viam_home = Variable("VIAM_HOME");
  environment.processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  environment.untrusted = untrusted;
  return environment;
}

}  // namespace datamanager::config
