#include "config/substitution.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_join.h"
#include "config/json.h"
#include "config/machine_config.h"
#include "tests/config/text.h"

namespace datamanager::config {
namespace {

class SubstitutionTest : public ::testing::Test {
 protected:
  // The config's text once variables are filled in; what is at fault goes to findings_.
  std::string Fill(std::string_view json) {
    const absl::StatusOr<Value> document = ParseJson(json);
    EXPECT_TRUE(document.ok()) << document.status();
    return ToJson(Substitute(document->AsMap(), {"cloud", "components"}, variables_, findings_));
  }
  // The same for one string of the cloud section.
  std::string FillText(const std::string& text) {
    ValueMap document;
    document.Add("cloud").SetMap().Set("id", text);
    const Value filled = Substitute(document, {"cloud"}, variables_, findings_);
    return std::string(filled.AsMap().Find("cloud")->AsMap().Find("id")->AsString());
  }
  // The faults of one string at `key` of the cloud section.
  std::string FaultOf(const std::string& key, const std::string& text) {
    ValueMap document;
    document.Add("cloud").SetMap().Set(key, text);
    Findings findings;
    Substitute(document, {"cloud"}, variables_, findings);
    return absl::StrJoin(findings.faults, "\n");
  }

  std::map<std::string, std::string> environment_ = {
      {"PART", "part-7"}, {"_X9", "nine"}, {"EMPTY", ""}, {"ODD", "a\"b\\\n${PART}$PART\u00e9"}};
  const Variables variables_ = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = environment_.find(name);
    if (found == environment_.end()) return std::nullopt;
    return found->second;
  };
  Findings findings_;
};

TEST_F(SubstitutionTest, EveryFormIsFilledIn) {
  const std::pair<std::string, std::string> cases[] = {
      {"$PART", "part-7"},
      {"${PART}", "part-7"},
      {"a-${PART}b$PART.c", "a-part-7bpart-7.c"},
      {"$_X9${_X9}", "ninenine"},
      {"${EMPTY}", ""},
      {"${MISSING:-other}", "other"},
      {"${EMPTY:-other}", "other"},
      {"${PART:-other}", "part-7"},
      {"${MISSING:-}", ""},
      {"${MISSING:-a $ b}", "a $ b"},
      {"$$PART", "$PART"},
      {"$${PART}", "${PART}"},
      {"$$$PART", "$part-7"},
      {"100$", "100$"},
      {"$5 or $-", "$5 or $-"},
      {"", ""},
      {"${packages.model.x}/a ${environment.PART}", "${packages.model.x}/a ${environment.PART}"},
  };
  for (const auto& [text, filled] : cases) EXPECT_EQ(FillText(text), filled) << text;
  EXPECT_EQ(findings_.faults, Lines());
}

TEST_F(SubstitutionTest, AValueChangesNoStructureAndIsNotLookedAtAgain) {
  EXPECT_EQ(FillText("${ODD}"), environment_["ODD"]);
  EXPECT_EQ(Fill(R"({"cloud": {"id": "${ODD}", "secret": "s"}})"),
            "{\"cloud\":{\"id\":\"a\\\"b\\\\\\n${PART}$PART\u00e9\",\"secret\":\"s\"}}");
  EXPECT_EQ(findings_.faults, Lines());
}

TEST_F(SubstitutionTest, OnlyStringsOfTheSectionsAreFilledIn) {
  EXPECT_EQ(Fill(R"({"Cloud": {"$PART": ["$PART", 1, true, null, {"a": "$PART"}]},
                     "modules": [{"env": "$MISSING $PART"}]})"),
            R"({"Cloud":{"$PART":["part-7",1,true,null,{"a":"part-7"}]},)"
            R"("modules":[{"env":"$MISSING $PART"}]})");
  EXPECT_EQ(findings_.faults, Lines());
}

TEST_F(SubstitutionTest, WhatIsNotSetIsNamedWithItsPlace) {
  const std::string hint = "; write ${NAME} for a variable, $$ for a dollar sign";
  EXPECT_EQ(Fill(R"({"components": [{"name": "$PART"}, {"name": "x-${MISSING}"}]})"),
            R"({"components":[{"name":"part-7"},{"name":"x-${MISSING}"}]})");
  EXPECT_EQ(
      findings_.faults,
      Lines({"components[1].name: names an environment variable that is not set: MISSING" + hint}));
  EXPECT_EQ(FaultOf("id", "${MISSING-x}"),
            "cloud.id: has a ${ that names no environment variable: MISSING" + hint);
  EXPECT_EQ(FaultOf("id", "${}"), "cloud.id: has a ${ that names no environment variable" + hint);
  EXPECT_EQ(FaultOf("id", "${PART"),
            "cloud.id: has a ${ that names no environment variable" + hint);
  environment_["PART"] = "\xff";
  EXPECT_EQ(FaultOf("id", "$PART"),
            "cloud.id: names an environment variable that is not UTF-8: PART" + hint);
}

// What stands in the config may be the secret itself.
TEST_F(SubstitutionTest, NoPartOfASecretIsShown) {
  for (const std::string secret :
       {"pa$word", "$word", "${word", "x${word}", "${word:}", "${word-word}", "a$b${word}"}) {
    const std::string fault = FaultOf("secret", secret);
    EXPECT_TRUE(fault.starts_with("cloud.secret: ")) << fault;
    EXPECT_FALSE(Has(fault, "word")) << fault;
  }
  EXPECT_TRUE(Has(FaultOf("secret", "${ROBOT_SECRET}"), "not set: ROBOT_SECRET;"));
}

TEST_F(SubstitutionTest, FillsInAMachineConfig) {
  environment_["SECRET"] = R"(hu"sh\)";
  const absl::StatusOr<MachineConfig> machine = ParseMachineConfig(
      R"({"cloud": {"id": "$PART", "secret": "${SECRET}"}})", "test", variables_);
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->cloud->id, "part-7");
  EXPECT_EQ(machine->cloud->secret, R"(hu"sh\)");

  EXPECT_EQ(ParseMachineConfig(R"({"cloud": {"id": "$MISSING"}})", "test", variables_).status(),
            absl::InvalidArgumentError(
                "test: 1 fault\ncloud.id: names an environment variable that is not set: MISSING; "
                "write ${NAME} for a variable, $$ for a dollar sign"));
}

}  // namespace
}  // namespace datamanager::config
