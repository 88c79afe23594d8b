#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "datamanager/config.h"
#include "tests/config/text.h"
#include "tests/support/temp_dir.h"

namespace datamanager {
namespace {

class LoadMachineConfigTest : public ::testing::Test {
 protected:
  std::string Write(std::string_view name, std::string_view text) {
    const std::string file = directory_.path() + "/" + std::string(name);
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  absl::Status Load(std::string_view text) {
    return LoadMachineConfig(Write("robot.json", text)).status();
  }
  std::string ErrorOf(std::string_view text) { return std::string(Load(text).message()); }

  testing::TempDir directory_;
};

TEST_F(LoadMachineConfigTest, ReadsAFile) {
  const auto machine = LoadMachineConfig(Write("robot.json", R"({
    "cloud": {"id": "part-1", "app_address": "http://127.0.0.1:8090"},
    "components": [{
      "name": "cpu", "api": "rdk:component:sensor", "model": "host-cpu", "attributes": {},
      "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
        {"method": "Readings", "capture_frequency_hz": 10}]}}]
    }],
    "services": [{"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",
      "attributes": {"capture_dir": "/var/lib/robot/capture", "sync_interval_mins": 0.2,
                     "tags": ["demo"]}}]})"));
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->cloud->id, "part-1");
  EXPECT_EQ(machine->data_manager->sync_interval_mins, 0.2);
  EXPECT_EQ(machine->warnings, Lines());
}

TEST_F(LoadMachineConfigTest, FillsInEnvironmentVariables) {
  ::setenv("DATAMANAGER_TEST_PART", "part-9", /*overwrite=*/1);
  const std::string file =
      Write("robot.json", R"({"cloud": {"id": "${DATAMANAGER_TEST_PART}", "app_address": "$$x"}})");
  const auto machine = LoadMachineConfig(file);
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->cloud->id, "part-9");
  EXPECT_EQ(machine->cloud->app_address, "$x");

  ::unsetenv("DATAMANAGER_TEST_PART");
  const absl::Status unset = LoadMachineConfig(file).status();
  EXPECT_TRUE(Has(std::string(unset.message()), file)) << unset;
  EXPECT_TRUE(Has(std::string(unset.message()), "DATAMANAGER_TEST_PART")) << unset;
}

TEST_F(LoadMachineConfigTest, FilesThatCannotBeReadAreNamed) {
  const std::string missing = directory_.path() + "/missing.json";
  const absl::Status not_found = LoadMachineConfig(missing).status();
  EXPECT_EQ(not_found.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Has(std::string(not_found.message()), "open " + missing))
      << std::string(not_found.message());
  EXPECT_TRUE(Has(std::string(not_found.message()), "No such file"))
      << std::string(not_found.message());

  const absl::Status a_directory = LoadMachineConfig(directory_.path()).status();
  EXPECT_TRUE(Has(std::string(a_directory.message()), directory_.path()))
      << std::string(a_directory.message());
  EXPECT_TRUE(Has(std::string(a_directory.message()), "Is a directory"))
      << std::string(a_directory.message());

  const std::string secret = Write("secret.json", "{}");
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  if (::geteuid() != 0) {
    const absl::Status denied = LoadMachineConfig(secret).status();
    EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_TRUE(Has(std::string(denied.message()), secret)) << std::string(denied.message());
  }
}

TEST_F(LoadMachineConfigTest, FilesThatHoldNoConfigAreNamed) {
  const std::string file = directory_.path() + "/robot.json: ";
  EXPECT_EQ(ErrorOf(""), file + "is empty, where a JSON object is due");
  EXPECT_EQ(ErrorOf(" \n\t"), file + "is empty, where a JSON object is due");
  EXPECT_EQ(ErrorOf("[1]"), file + "must be a JSON object (got a list)");
  EXPECT_EQ(ErrorOf("\"x\""), file + "must be a JSON object (got \"x\")");
  EXPECT_EQ(ErrorOf("null"), file + "must be a JSON object (got null)");
  EXPECT_TRUE(ErrorOf("services: none").starts_with(file + "not valid JSON at line 1, column 1:"))
      << ErrorOf("services: none");
  EXPECT_TRUE(
      ErrorOf("{\"services\": [").starts_with(file + "not valid JSON at line 1, column 15:"))
      << ErrorOf("{\"services\": [");
  EXPECT_EQ(Load("[1]").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LoadMachineConfigTest, AHugeFileIsNotReadToItsEnd) {
  const std::string file = Write("huge", "");
  std::filesystem::resize_file(file, uintmax_t{1} << 40);
  EXPECT_TRUE(Has(std::string(LoadMachineConfig(file).status().message()), file))
      << std::string(LoadMachineConfig(file).status().message());
  EXPECT_TRUE(
      Has(std::string(LoadMachineConfig(file).status().message()), "longer than 16777216 bytes"))
      << std::string(LoadMachineConfig(file).status().message());
}

}  // namespace
}  // namespace datamanager
