// The robot from its command line to its exit status.
#include "absl/strings/str_replace.h"
#include "tests/integration/robot_world.h"

namespace datamanager::testing {
namespace {

class RobotProcessTest : public RobotWorld {
 protected:
  std::unique_ptr<Process> CaptureCat(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CAPTURE_CAT_PATH);
    return std::make_unique<Process>(std::move(arguments), Path("capture_cat.out"));
  }
  // Captures so many values without a cloud.
  void CaptureSome(size_t values) {
    RunWith(Machine("", {Counter("count", 200)}, Service()));
    ASSERT_TRUE(WaitForJournal("count", values));
    robot_->Signal(SIGTERM);
    ASSERT_EQ(robot_->ExitCode(), 0);
  }
};

TEST_F(RobotProcessTest, AWrongConfigIsExitCode2AndAnErrorToActOn) {
  WriteFile(Path("in-the-way"), "");
  const std::string counter = Counter("count", 10);
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = counter;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  struct Case {
    std::string config;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {"", {ConfigFile(), "is empty"}},
      {R"({"services": [)", {ConfigFile()}},
      {"[]", {"must be a JSON object"}},
      {Machine("", {counter}, Service(R"(, "maximum_num_sync_threads": -1)")),
       {"services[0].attributes.maximum_num_sync_threads", "can't be negative", "-1"}},
      {Machine("", {counter}, Service(R"(, "capture_disabled": "yes", "tags": "a")")),
       {"services[0].attributes.capture_disabled", "yes", "services[0].attributes.tags"}},
      {Machine("", {counter}, Service(R"(, "disk_usage_deletion_threshold": 1e999)")),
       {"the range of double"}},
      {Machine("", {counter},
               Service(absl::StrCat(R"(, "capture_dir": ")", Path("in-the-way"), "\""))),
       {"capture_dir"}},
      {Machine("", {replaced("\"counter\"", "\"countre\"")}, Service()),
       {"count", "countre", "the nearest is \"counter\""}},
      {Machine("", {replaced("\"journal\"", "\"jurnal\"")}, Service()),
       {"count", "journal", "is missing"}},
      {Machine("", {replaced("rdk:component:sensor", "rdk:component:camera")}, Service()),
       {"count", "rdk:component:camera", "does not fit model"}},
      {Machine("", {counter, counter}, Service()), {"is declared twice"}},
      {Machine("", {counter}, ""), {"no data manager is declared"}},
      {Machine("", {counter}, Service() + "," + Service()), {"max instance number reached"}},
      {Machine(R"("cloud": {"id": "part-1", "app_address": "ftp://there"},)", {counter}, Service()),
       {"app_address", "ftp"}},
      {Machine(R"("cloud": {"app_address": "http://there:1"},)", {counter}, Service()),
       {"cloud.id", "missing required field"}},
  };
  for (const Case& wrong : cases) {
    RunWith(wrong.config);
    EXPECT_EQ(robot_->ExitCode(), 2) << wrong.config;
    EXPECT_TRUE(Has(robot_->Output(), "robot: ")) << wrong.config;
    for (const std::string& text : wrong.said) {
      EXPECT_TRUE(Has(robot_->Output(), text)) << wrong.config;
    }
  }
  Run({"--config", Path("no-such.json")});
  EXPECT_EQ(robot_->ExitCode(), 2);
  EXPECT_TRUE(Has(robot_->Output(), "no-such.json"));
  EXPECT_TRUE(Has(robot_->Output(), "No such file"));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(RobotProcessTest, WrongFlagsAreExitCode2) {
  struct Case {
    std::vector<std::string> arguments;
    std::string said;
  };
  for (const Case& wrong :
       {Case{{}, "--config FILE is missing"}, Case{{"--config"}, "--config needs a value"},
        Case{{"--konfig", "x"}, "--konfig"},
        Case{{"--config", "x", "--run-for", "5"}, "--run-for: \"5\" is no duration"}}) {
    Run(wrong.arguments);
    EXPECT_EQ(robot_->ExitCode(), 2);
    EXPECT_TRUE(Has(robot_->Output(), wrong.said));
  }
}

TEST_F(RobotProcessTest, SighupAppliesAGoodConfigAndSurvivesAWrongOne) {
  RunWith(Machine("", {Counter("changed", 100), Counter("kept", 100)}, Service()));
  ASSERT_TRUE(WaitForJournal("changed", 5));
  ASSERT_TRUE(WaitForJournal("kept", 5));
  const std::vector<std::string> kept = FilesBelow(DirectoryOf("kept"), ".prog");
  const std::vector<std::string> changed = FilesBelow(DirectoryOf("changed"), ".prog");
  ASSERT_EQ(kept.size(), 1U);

  // A wrong one: told, and nothing changes.
  WriteFile(ConfigFile(),
            Machine("", {Counter("kept", 100)}, Service(R"(, "file_last_modified_millis": -1)")));
  robot_->Signal(SIGHUP);
  ASSERT_TRUE(WaitForOutput("the config was not reloaded; the old one runs on"));
  EXPECT_TRUE(WaitForOutput("file_last_modified_millis can't be negative"));
  ASSERT_TRUE(WaitForJournal("changed", Journalled("changed").size() + 3));
  EXPECT_EQ(FilesBelow(DirectoryOf("changed"), ".prog"), changed);

  // A good one: only what differs restarts.
  WriteFile(ConfigFile(), Machine("", {Counter("changed", 50), Counter("kept", 100)}, Service()));
  robot_->Signal(SIGHUP);
  ASSERT_TRUE(WaitForOutput("config reloaded"));
  EXPECT_TRUE(WaitForOutput("closing collector rdk:component:sensor/changed"));
  EXPECT_FALSE(robot_->Said("closing collector rdk:component:sensor/kept"));
  ASSERT_TRUE(WaitForJournal("changed", Journalled("changed").size() + 3));
  EXPECT_NE(FilesBelow(DirectoryOf("changed"), ".prog"), changed);
  EXPECT_EQ(FilesBelow(DirectoryOf("kept"), ".prog"), kept);
  // The sources went on: one run each.
  EXPECT_TRUE(Journalled("changed").back().starts_with(
      Journalled("changed").front().substr(0, Journalled("changed").front().find(' '))));

  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  EXPECT_EQ(OnDisk(".prog"), std::vector<std::string>{});
  EXPECT_EQ(OnDisk(".capture").size(), 3U);
  EXPECT_TRUE(WaitForOutput("collector rdk:component:sensor kept"));
}

TEST_F(RobotProcessTest, SighupBringsTheCloudAndTakesItAway) {
  const auto machine = [this](const std::string& cloud) {
    return Machine(cloud, {Counter("count", 100)}, Service());
  };
  const auto reload = [&](const std::string& cloud) {
    WriteFile(ConfigFile(), machine(cloud));
    robot_->Signal(SIGHUP);
  };
  ASSERT_NO_FATAL_FAILURE(StartServer());
  RunWith(machine(""));
  ASSERT_TRUE(WaitForOutput("The robot is not cloud managed: it only captures"));
  ASSERT_TRUE(WaitForJournal("count", 3));

  reload(CloudOf(address_));
  ASSERT_TRUE(WaitForOutput("Connected to app at " + address_));
  ASSERT_TRUE(WaitUntil([&] { return !ArrivedFrom("count").empty(); }));

  // A wrong one, and then a right one of which the rest is wrong: told, and nothing changes.
  reload(
      R"("cloud": {"id": "part-1", "app_address": "https://h:1", "tls_ca_file": "/no/ca.pem"},)");
  ASSERT_TRUE(WaitForOutput("cloud.tls_ca_file: open /no/ca.pem: No such file or directory"));
  ASSERT_TRUE(WaitForOutput("the config was not reloaded; the old one runs on"));
  const size_t arrived = ArrivedFrom("count").size();
  ASSERT_TRUE(WaitUntil([&] { return ArrivedFrom("count").size() > arrived; }));
  WriteFile(Path("file"), "no directory");
  WriteFile(ConfigFile(),
            Machine(CloudOf(OwnLoopback(1)), {Counter("count", 100)},
                    absl::StrReplaceAll(Service(), {{config_.capture_dir, Path("file")}})));
  robot_->Signal(SIGHUP);
  ASSERT_TRUE(WaitForOutput("capture_dir: "));
  const size_t to_come = Journalled("count").size() + 20;  // Beyond what was on its way.
  ASSERT_TRUE(WaitForJournal("count", to_come));
  ASSERT_TRUE(WaitUntil([&] { return ArrivedFrom("count").size() >= to_come; }));

  reload("");
  ASSERT_TRUE(WaitForOutput("config reloaded"));
  ASSERT_TRUE(WaitUntil([&] {
    const std::string output = robot_->Output();
    const size_t first = output.find("The robot is not cloud managed");
    return output.find("The robot is not cloud managed", first + 1) != std::string::npos;
  }));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotProcessTest, SIGUSR2PutsBackWhatWasSetAside) {
  const std::string set_aside = config_.capture_dir + "/failed/some/notes.txt";
  WriteFile(set_aside, "x");
  WriteFile(config_.capture_dir + "/failed/bad.capture", "no capture file");
  RunWith(Machine("", {Counter("count", 100)}, Service()));
  ASSERT_TRUE(WaitForJournal("count", 1));
  robot_->Signal(SIGUSR2);
  EXPECT_TRUE(WaitForOutput("put 1 files back from failed/; 1 stay there"));
  EXPECT_TRUE(WaitForOutput("bad.capture: "));
  EXPECT_FALSE(Exists(set_aside));
  EXPECT_EQ(ReadFile(config_.capture_dir + "/some/notes.txt"), "x");
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotProcessTest, RunForUploadsWhatItCapturedAndExits0) {
  StartServer();
  RunWith(Machine(CloudOf(address_), {Counter("count", 100)}, Service()),
          {"--run-for", "500ms", "--status-every=100ms"});
  EXPECT_EQ(robot_->ExitCode(), 0);
  EXPECT_EQ(ArrivedAsJournalled("count"), Journalled("count"));
  EXPECT_GE(Journalled("count").size(), 5U);
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(Has(robot_->Output(), "status t="));
  EXPECT_TRUE(Has(robot_->Output(), "collectors=1 "));
  EXPECT_TRUE(Has(robot_->Output(), "process rss_kb="));
}

TEST_F(RobotProcessTest, RunForWithNobodyListeningExits0AndSaysWhatRemains) {
  // A port that the system gives to nobody: a free one may become another test's server.
  RunWith(Machine(CloudOf("127.0.0.1:1"), {Counter("count", 100)}, Service()),
          {"--run-for", "300ms", "--capture-dir", Path("elsewhere")});
  EXPECT_EQ(robot_->ExitCode(), 0);
  EXPECT_TRUE(
      Has(robot_->Output(), absl::StrCat("wait in ", Path("elsewhere"), " for the next run")));
  EXPECT_TRUE(Has(robot_->Output(), "not connected to the cloud"));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_EQ(FilesBelow(Path("elsewhere"), ".prog"), std::vector<std::string>{});
  EXPECT_EQ(FilesBelow(Path("elsewhere"), ".capture").size(), 1U);
}

TEST_F(RobotProcessTest, CaptureCatPrintsEachRecord) {
  CaptureSome(20);
  const std::vector<std::string> files = OnDisk(".capture");
  ASSERT_EQ(files.size(), 1U);
  const auto cat = CaptureCat({"--json", files[0]});
  ASSERT_EQ(cat->ExitCode(), 0) << cat->Output();
  std::vector<std::string> printed;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(cat->Output(), '\n', absl::SkipEmpty()))) {
    const auto record = ParseStruct(line);
    EXPECT_EQ(record.fields().at("component_name").string_value(), "count");
    EXPECT_EQ(record.fields().at("method_name").string_value(), "Readings");
    const auto& readings =
        record.fields().at("json").struct_value().fields().at("readings").struct_value().fields();
    printed.push_back(absl::StrCat(readings.at("run").string_value(), " ",
                                   static_cast<int>(readings.at("seq").number_value())));
  }
  EXPECT_EQ(printed, Journalled("count"));
}

TEST_F(RobotProcessTest, CaptureCatVerifies) {
  CaptureSome(5);
  const std::vector<std::string> files = OnDisk(".capture");
  ASSERT_EQ(files.size(), 1U);
  const auto whole = CaptureCat({"--verify", files[0]});
  EXPECT_EQ(whole->ExitCode(), 0);
  EXPECT_TRUE(Has(whole->Output(), absl::StrCat(files[0], ": ok, ", Journalled("count").size())));

  std::filesystem::resize_file(files[0], std::filesystem::file_size(files[0]) - 1);
  const auto cut = CaptureCat({"--verify", files[0]});
  EXPECT_EQ(cut->ExitCode(), 1);
  EXPECT_TRUE(Has(cut->Output(),
                  absl::StrCat(Journalled("count").size() - 1, " whole records, then damage")));
  EXPECT_EQ(CaptureCat({"--json", Path("no-such.capture")})->ExitCode(), 1);
  EXPECT_EQ(CaptureCat({"--bogus"})->ExitCode(), 2);
}

}  // namespace
}  // namespace datamanager::testing
