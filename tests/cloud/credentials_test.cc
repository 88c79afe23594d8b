#include "cloud/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::cloud {
namespace {

using Lines = std::vector<std::string>;

class CredentialsTest : public ::testing::Test {
 protected:
  std::optional<Credentials> Load(CloudConfig config) {
    faults_.clear();
    warnings_.clear();
    config.id = "part-1";
    return LoadCredentials(config, faults_, warnings_);
  }
  std::string File(std::string_view content, mode_t mode = 0600) {
    testing::WriteFile(path_, content);
    EXPECT_EQ(::chmod(path_.c_str(), mode), 0);
    return path_;
  }
  void ExpectFault(const CloudConfig& config, const std::string& fault) {
    EXPECT_FALSE(Load(config).has_value());
    EXPECT_EQ(faults_, Lines{fault});
  }

  const testing::TempDir directory_;
  const std::string path_ = directory_.path() + "/secret";
  Lines faults_;
  Lines warnings_;
};

TEST_F(CredentialsTest, AreNone) {
  EXPECT_FALSE(Load({}).has_value());
  EXPECT_EQ(faults_, Lines());
}

TEST_F(CredentialsTest, AreTheSecretOfThePart) {
  EXPECT_EQ(
      Load({.secret = "hush"}),
      (Credentials{
          .type = "robot-secret", .entity = "part-1", .payload = "hush", .field = "cloud.secret"}));
}

TEST_F(CredentialsTest, AnApiKeyWins) {
  EXPECT_EQ(
      Load({.api_key = {.id = "key-1", .key = "whisper"}, .secret = "hush"}),
      (Credentials{
          .type = "api-key", .entity = "key-1", .payload = "whisper", .field = "cloud.api_key"}));
  EXPECT_EQ(faults_, Lines());
}

TEST_F(CredentialsTest, HalfAKeyIsAFault) {
  ExpectFault({.api_key = {.id = "key-1"}, .secret = "hush"},
              "cloud.api_key.key: it is missing; write the key, or as key_file the name of a file "
              "that has it");
  ExpectFault({.api_key = {.key = "whisper"}},
              "cloud.api_key.id: it is missing; write the id that belongs to the key");
  ExpectFault({.api_key = {.key_file = File("whisper")}},
              "cloud.api_key.id: it is missing; write the id that belongs to the key");
}

TEST_F(CredentialsTest, MayStandInTheFirstLineOfAFile) {
  for (const char* content : {"hush", "hush\n", "hush\r\n", "hush\nmore\n"}) {
    EXPECT_EQ(Load({.secret_file = File(content)})->payload, "hush") << content;
    EXPECT_EQ(Load({.api_key = {.id = "key-1", .key_file = path_}})->payload, "hush") << content;
    EXPECT_EQ(warnings_, Lines());
  }
}

TEST_F(CredentialsTest, MayStandBehindALink) {
  File("hush");
  const std::string link = directory_.path() + "/link";
  std::filesystem::create_symlink(path_, link);
  EXPECT_EQ(Load({.secret_file = link})->payload, "hush");
}

TEST_F(CredentialsTest, AFileThatOthersCanReadDrawsAWarning) {
  for (const mode_t mode : {0640, 0604, 0644}) {
    EXPECT_EQ(Load({.secret_file = File("hush", mode)})->payload, "hush");
    EXPECT_EQ(warnings_, Lines{"cloud.secret_file: others may read " + path_ + "; chmod 600 it"});
  }
  for (const mode_t mode : {0600, 0400}) {
    EXPECT_EQ(Load({.secret_file = File("hush", mode)})->payload, "hush");
    EXPECT_EQ(warnings_, Lines());
    ::chmod(path_.c_str(), 0600);
  }
}

TEST_F(CredentialsTest, AFileThatHoldsNoneIsNamed) {
  ExpectFault({.secret_file = path_}, "cloud.secret_file: open " + path_ +
                                          ": No such file or directory; name a file that this "
                                          "process can read");
  for (const char* content : {"", "\n", "\r\n", "\nhush"}) {
    ExpectFault({.secret_file = File(content)}, "cloud.secret_file: the first line of " + path_ +
                                                    " is empty; write there what the cloud gave "
                                                    "you");
  }
  ExpectFault({.secret_file = File(std::string(70000, 'x'))},
              "cloud.secret_file: " + path_ +
                  " has more than 65536 bytes, which no secret has; name the right file");
  ExpectFault({.api_key = {.id = "key-1", .key_file = directory_.path()}},
              "cloud.api_key.key_file: " + directory_.path() +
                  " is no regular file; name a file that this process can read");
  const std::string fifo = directory_.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  ExpectFault(
      {.secret_file = fifo},
      "cloud.secret_file: " + fifo + " is no regular file; name a file that this process can read");
  if (::geteuid() != 0) {
    EXPECT_FALSE(Load({.secret_file = File("hush", 0)}).has_value());
    EXPECT_NE(faults_.at(0).find("Permission denied"), std::string::npos);
  }
}

TEST_F(CredentialsTest, OnePlaceIsEnough) {
  ExpectFault({.secret = "hush", .secret_file = File("hush")},
              "cloud.secret_file: stands beside cloud.secret; write one of them");
  ExpectFault({.api_key = {.id = "key-1", .key = "hush", .key_file = path_}},
              "cloud.api_key.key_file: stands beside cloud.api_key.key; write one of them");
}

TEST_F(CredentialsTest, MustBeUtf8) {
  ExpectFault({.secret = "hu\xffsh"}, "cloud.secret: it is not UTF-8, as the cloud demands");
  ExpectFault({.secret_file = File("hu\xffsh")},
              "cloud.secret_file: it is not UTF-8, as the cloud demands");
  ExpectFault({.api_key = {.id = "\xff", .key = "k"}},
              "cloud.api_key.id: it is not UTF-8, as the cloud demands");
}

}  // namespace
}  // namespace datamanager::cloud
