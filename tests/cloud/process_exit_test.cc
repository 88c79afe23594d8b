#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstdlib>

#include "datamanager/cloud.h"

namespace datamanager {
namespace {

// The child that EXPECT_EXIT starts is a new process, in which nothing has used OpenSSL before.
TEST(ProcessExitTest, OpenSslIsKeptWhileGrpcThreadsMayUseIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const auto cloud = Cloud::Create({.id = "part-1", .app_address = "https://127.0.0.1:1"});
        EVP_MD_free(EVP_MD_fetch(nullptr, "SHA256", nullptr));
        OPENSSL_atexit([] { ::_exit(3); });
        std::exit(cloud.ok() ? 0 : 1);  // NOLINT(concurrency-mt-unsafe)
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace datamanager
