#include "ingest_server/credentials.h"

#include <gtest/gtest.h>

#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

std::string ErrorOf(std::string_view json) {
  const auto credentials = Credentials::Parse(json);
  return credentials.ok() ? "no error" : std::string(credentials.status().message());
}

TEST(IngestCredentialsTest, FindsOnlyWhatTheFileHas) {
  const auto credentials = Credentials::Parse(
      R"({"api_keys": [{"id": "k1", "key": "one"}, {"id": "k1", "key": "two"}],
          "robot_secrets": [{"id": "part-1", "secret": "three"}]})");
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->entries().size(), 3u);
  const auto* first = credentials->Find("api-key", "k1", "one");
  const auto* second = credentials->Find("api-key", "k1", "two");
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(first->digest, second->digest);
  EXPECT_EQ(first->entity, "k1");
  EXPECT_NE(credentials->Find("robot-secret", "part-1", "three"), nullptr);

  EXPECT_EQ(credentials->Find("api-key", "k1", "three"), nullptr);
  EXPECT_EQ(credentials->Find("api-key", "k1", ""), nullptr);
  EXPECT_EQ(credentials->Find("api-key", "k1", "one "), nullptr);
  EXPECT_EQ(credentials->Find("api-key", "k", "1one"), nullptr);
  EXPECT_EQ(credentials->Find("api-key", "k2", "one"), nullptr);
  EXPECT_EQ(credentials->Find("robot-secret", "k1", "one"), nullptr);
  EXPECT_EQ(credentials->Find("api-key", "part-1", "three"), nullptr);
}

TEST(IngestCredentialsTest, KeepsNoSecret) {
  const auto credentials =
      Credentials::Parse(R"({"api_keys": [{"id": "k1", "key": "open sesame"}]})");
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  const Credentials::Entry& entry = credentials->entries().front();
  EXPECT_EQ((entry.type + entry.entity + entry.digest).find("sesame"), std::string::npos);
}

TEST(IngestCredentialsTest, EmptyLetsNobodyIn) {
  const auto credentials = Credentials::Parse("{}");
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->Find("api-key", "", ""), nullptr);
}

TEST(IngestCredentialsTest, SaysWhatIsWrong) {
  EXPECT_EQ(ErrorOf("[]"), "must be a JSON object");
  EXPECT_EQ(ErrorOf(R"({"api_key": []})"),
            "there is no key \"api_key\" here; did you mean \"api_keys\"?");
  EXPECT_EQ(ErrorOf(R"({"api_keys": {"id": "a"}})"), "\"api_keys\" must be a list");
  EXPECT_EQ(ErrorOf(R"({"api_keys": ["a"]})"), "api_keys[0]: must be an object");
  EXPECT_EQ(ErrorOf(R"({"robot_secrets": [{"id": "a", "secret": "b"}, {"id": "a", "key": "b"}]})"),
            "robot_secrets[1]: there is no key \"key\" here");
  EXPECT_EQ(ErrorOf(R"({"api_keys": [{"id": "a"}]})"),
            "api_keys[0]: \"key\" must be a text that is not empty");
  EXPECT_EQ(ErrorOf(R"({"api_keys": [{"id": "", "key": "k"}]})"),
            "api_keys[0]: \"id\" must be a text that is not empty");
}

TEST(IngestCredentialsTest, ErrorsShowNoSecret) {
  EXPECT_EQ(ErrorOf("{\"api_keys\": [{\"id\": \"a\", \"key\":\n\"sesame\" oops}]}"),
            "not valid JSON at line 2, column 10");
  for (const std::string json :
       {R"({"api_keys": [{"id": "a", "key": sesame}]})", R"(sesame)", R"("sesame")",
        R"({"api_keys": "sesame"})", R"({"api_keys": ["sesame"]})",
        R"({"api_keys": [{"id": "a", "key": ["sesame"]}]})",
        "{\"api_keys\": [{\"id\": \"a\", \"key\": \"sesame \xff\"}]}"}) {
    const std::string error = ErrorOf(json);
    EXPECT_NE(error, "no error") << json;
    EXPECT_EQ(error.find("sesame"), std::string::npos) << error;
  }
}

TEST(IngestCredentialsTest, AFileThatCannotBeReadIsNamed) {
  const datamanager::testing::TempDir temp;
  EXPECT_EQ(std::string(Credentials::Read(temp.path() + "/none").status().message()),
            "open " + temp.path() + "/none: No such file or directory");
  EXPECT_EQ(std::string(Credentials::Read(temp.path()).status().message()),
            "read " + temp.path() + ": Is a directory");
  const std::string huge = temp.path() + "/huge";
  datamanager::testing::WriteFile(huge, std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(std::string(Credentials::Read(huge).status().message()),
            huge + " is larger than 1048576 bytes");
}

}  // namespace
}  // namespace ingest
