#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>
#include <string>

#include "config/effective_config.h"

namespace datamanager::config {
namespace {

// Sets or removes a variable, and puts back what was there.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = ::getenv(name)) old_ = old;
    Assign(value);
  }
  ~ScopedVariable() { Assign(old_.has_value() ? old_->c_str() : nullptr); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void Assign(const char* value) {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }

  const char* const name_;
  std::optional<std::string> old_;
};

TEST(EnvironmentTest, ComesFromTheProcess) {
  const ScopedVariable home("HOME", "/home/robot");
  const ScopedVariable viam_home("VIAM_HOME", "/opt/viam");
  const Environment environment = Environment::OfProcess(/*untrusted=*/true);
  EXPECT_EQ(environment.home, "/home/robot");
  EXPECT_EQ(environment.viam_home, "/opt/viam");
  EXPECT_GE(environment.processors, 1);
  EXPECT_TRUE(environment.untrusted);
  EXPECT_FALSE(Environment::OfProcess(/*untrusted=*/false).untrusted);
}

TEST(EnvironmentTest, WithoutHomeAsksTheUserDatabase) {
  const ScopedVariable home("HOME", nullptr);
  const ScopedVariable viam_home("VIAM_HOME", nullptr);
  const Environment environment = Environment::OfProcess(/*untrusted=*/false);
  EXPECT_NE(environment.home, "");
  EXPECT_EQ(environment.viam_home, "");
}

}  // namespace
}  // namespace datamanager::config
