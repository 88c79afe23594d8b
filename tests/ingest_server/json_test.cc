#include "ingest_server/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace ingest {
namespace {

using google::protobuf::Struct;

Struct With(double number) {
  Struct value;
  (*value.mutable_fields())["x"].set_number_value(number);
  return value;
}

TEST(JsonTest, SortsKeysAndNests) {
  Struct value;
  auto& fields = *value.mutable_fields();
  fields["b"].set_bool_value(true);
  fields["a"].set_null_value(google::protobuf::NULL_VALUE);
  fields["unset"];
  auto& list = *fields["list"].mutable_list_value();
  list.add_values()->set_string_value("one");
  list.add_values()->set_number_value(2);
  *fields["map"].mutable_struct_value() = With(-1.5);
  EXPECT_EQ(ToJson(value), R"({"a":null,"b":true,"list":["one",2],"map":{"x":-1.5},"unset":null})");
}

TEST(JsonTest, NumbersComeBackTheSame) {
  EXPECT_EQ(ToJson(With(0.1)), R"({"x":0.1})");
  EXPECT_EQ(ToJson(With(5)), R"({"x":5})");
  EXPECT_EQ(ToJson(With(1.0 / 3)), R"({"x":0.3333333333333333})");
  EXPECT_EQ(ToJson(With(1e300)), R"({"x":1e+300})");
}

TEST(JsonTest, WhatIsNoNumberInJsonIsAString) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ToJson(With(std::numeric_limits<double>::quiet_NaN())), R"({"x":"NaN"})");
  EXPECT_EQ(ToJson(With(kInfinity)), R"({"x":"Infinity"})");
  EXPECT_EQ(ToJson(With(-kInfinity)), R"({"x":"-Infinity"})");
}

TEST(JsonTest, Escapes) {
  google::protobuf::RepeatedPtrField<std::string> strings;
  EXPECT_EQ(ToJson(strings), "[]");
  strings.Add("a\"b\\c");
  strings.Add(std::string("\0\n\x1f", 3));
  strings.Add("ü");
  EXPECT_EQ(ToJson(strings), R"(["a\"b\\c","\u0000\u000a\u001f","ü"])");
}

}  // namespace
}  // namespace ingest
