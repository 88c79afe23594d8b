#include "capture/methods.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace datamanager::capture {
namespace {

std::string ErrorOf(std::string_view api, std::string_view name) {
  const absl::StatusOr<const Method*> method = FindMethod(api, name);
  EXPECT_EQ(method.status().code(), absl::StatusCode::kNotFound);
  return std::string(method.status().message());
}

TEST(MethodsTest, FindsWhatCanBeCaptured) {
  struct Row {
    std::string api;
    std::string name;
    PayloadRule rule;
    bool binary;
    bool params_to_source;
  };
  const std::vector<Row> table = {
      {"rdk:component:sensor", "Readings", PayloadRule::kReadings, false, true},
      {"rdk:component:movement_sensor", "Readings", PayloadRule::kReadings, false, false},
      {"rdk:component:power_sensor", "Readings", PayloadRule::kReadings, false, false},
      {"rdk:component:camera", "GetImages", PayloadRule::kEveryImage, true, false},
      {"rdk:component:camera", "ReadImage", PayloadRule::kOneImage, true, false},
  };
  for (const Row& row : table) {
    const absl::StatusOr<const Method*> method = FindMethod(row.api, row.name);
    ASSERT_TRUE(method.ok()) << row.api << row.name;
    EXPECT_EQ((*method)->api, row.api);
    EXPECT_EQ((*method)->name, row.name);
    EXPECT_EQ((*method)->rule, row.rule);
    EXPECT_EQ((*method)->binary(), row.binary);
    EXPECT_EQ((*method)->params_to_source, row.params_to_source);
  }
}

TEST(MethodsTest, NamesTheNearest) {
  EXPECT_EQ(ErrorOf("rdk:component:sensor", "Reading"),
            "failed to find collector constructor for Api: rdk:component:sensor, Method Name: "
            "Reading; did you mean method Readings?");
  EXPECT_EQ(ErrorOf("rdk:component:camera", "GetImage"),
            "failed to find collector constructor for Api: rdk:component:camera, Method Name: "
            "GetImage; did you mean method GetImages?");
  EXPECT_EQ(ErrorOf("rdk:component:sensors", "Readings"),
            "failed to find collector constructor for Api: rdk:component:sensors, Method Name: "
            "Readings; did you mean API rdk:component:sensor?");
}

TEST(MethodsTest, ListsTheMethodsWhereNoneIsNear) {
  EXPECT_EQ(ErrorOf("rdk:component:camera", "DoCommand"),
            "failed to find collector constructor for Api: rdk:component:camera, Method Name: "
            "DoCommand; it has GetImages, ReadImage");
  EXPECT_EQ(ErrorOf("acme:thing:unknown", "Spin"),
            "failed to find collector constructor for Api: acme:thing:unknown, Method Name: Spin");
}

}  // namespace
}  // namespace datamanager::capture
