#include "datamanager/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace datamanager {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ValueMap MapOf(const std::vector<std::pair<std::string, Value>>& entries) {
  ValueMap map;
  for (const auto& [key, value] : entries) map.Set(key, value);
  return map;
}

ValueList ListOf(const std::vector<Value>& values) {
  ValueList list;
  for (const Value& value : values) list.Append(value);
  return list;
}

// A value with a map, a list and text in it.
Value Nested() { return MapOf({{"list", ListOf({1, "two", nullptr})}, {"text", "three"}}); }

TEST(ValueTest, TakesEveryKindFromALiteral) {
  EXPECT_EQ(Value().kind(), Value::Kind::kNull);
  EXPECT_EQ(Value(nullptr).kind(), Value::Kind::kNull);
  EXPECT_EQ(Value(true).kind(), Value::Kind::kBool);
  EXPECT_EQ(Value(1).kind(), Value::Kind::kNumber);
  EXPECT_EQ(Value(1.5F).AsNumber(), 1.5);
  EXPECT_EQ(Value(uint64_t{1} << 53).AsNumber(), 9007199254740992.0);
  EXPECT_EQ(Value("text").kind(), Value::Kind::kString);
  EXPECT_EQ(Value(std::string("text")).AsString(), "text");
  EXPECT_EQ(Value(ValueList()).kind(), Value::Kind::kList);
  EXPECT_EQ(Value(ValueMap()).kind(), Value::Kind::kMap);
  Value bytes;
  bytes.SetBytes("\x00\xff");
  EXPECT_EQ(bytes.kind(), Value::Kind::kBytes);
}

TEST(ValueTest, ReadsAsEmptyWhereTheKindIsAnother) {
  const Value number = 7;
  EXPECT_FALSE(number.AsBool());
  EXPECT_EQ(number.AsString(), "");
  EXPECT_TRUE(number.AsList().empty());
  EXPECT_TRUE(number.AsMap().empty());
  EXPECT_EQ(Value("7").AsNumber(), 0);
  EXPECT_EQ(Value(true).AsNumber(), 0);
}

TEST(ValueTest, ChangesItsKind) {
  Value value = Nested();
  value.SetBool(true);
  EXPECT_TRUE(value.AsMap().empty());
  value.SetList().Append(1);
  EXPECT_EQ(value.AsList().size(), 1U);
  value.SetMap();
  EXPECT_TRUE(value.AsMap().empty());
  value.SetNull();
  EXPECT_TRUE(value.is_null());
}

TEST(ValueTest, CopiesAreOfTheirOwn) {
  Value original = Nested();
  const Value copy = original;
  original.SetMap().Set("text", "changed");
  EXPECT_EQ(copy, Nested());
  EXPECT_NE(copy, original);
}

TEST(ValueTest, CanBeAssignedFromInsideItself) {
  Value value = Nested();
  value = *value.AsMap().Find("list");
  EXPECT_EQ(value, Value(ListOf({1, "two", nullptr})));
}

TEST(ValueTest, StandsAsEmptyOnceMovedFrom) {
  Value map = Nested();
  Value list = ListOf({1});
  const Value taken = std::move(map);
  const Value taken_too = std::move(list);
  EXPECT_TRUE(map.AsMap().empty());    // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(list.AsList().empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(map, Value(ValueMap()));
  map.SetMap().Set("again", 1);
  EXPECT_EQ(map.AsMap().size(), 1U);
}

TEST(ValueMapTest, KeepsTheOrderAndFindsTheLast) {
  const ValueMap map = MapOf({{"b", 1}, {"a", 2}, {"b", 3}});
  ASSERT_EQ(map.size(), 3U);
  EXPECT_EQ(map.begin()->key, "b");
  EXPECT_EQ(map.Find("b")->AsNumber(), 3);
  EXPECT_EQ(map.Find("a")->AsNumber(), 2);
  EXPECT_EQ(map.Find("c"), nullptr);
}

TEST(ValueMapTest, ReusesItsStorageAfterClear) {
  const std::string key(100, 'k');
  const std::string text(100, 't');
  ValueMap map;
  const auto fill = [&] {
    map.Set(key, text);
    ValueList& list = map.Add("list").SetList();
    list.Append(text);
    list.Append(2);
    map.Add("map").SetMap().Set(key, text);
  };
  const auto storage = [&] {
    return std::vector<const void*>{map.begin(),
                                    map.begin()->key.data(),
                                    map.begin()->value.AsString().data(),
                                    map.Find("list")->AsList().begin(),
                                    map.Find("list")->AsList()[0].AsString().data(),
                                    map.Find("map")->AsMap().begin()};
  };
  fill();
  const std::vector<const void*> before = storage();
  map.Clear();
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.Find(key), nullptr);
  fill();
  EXPECT_EQ(storage(), before);
}

TEST(ValueMapTest, ShowsNothingOfWhatItHeldBefore) {
  ValueMap map = MapOf({{"a", Nested()}, {"b", 2}});
  map.Clear();
  EXPECT_TRUE(map.Add("a").is_null());
  EXPECT_EQ(map.size(), 1U);
  EXPECT_EQ(map.Find("b"), nullptr);
  const ValueMap copy = map;
  EXPECT_EQ(copy, MapOf({{"a", nullptr}}));
}

TEST(ValueMapTest, IsEmptyOnceMovedFrom) {
  ValueMap map = MapOf({{"a", 1}});
  const ValueMap taken = std::move(map);
  EXPECT_EQ(taken.size(), 1U);
  EXPECT_TRUE(map.empty());  // NOLINT(bugprone-use-after-move)
  map.Set("b", 2);
  EXPECT_EQ(map, MapOf({{"b", 2}}));
}

TEST(ValueMapTest, EqualsInAnyOrderAndByTheLastSet) {
  EXPECT_EQ(MapOf({{"a", 1}, {"b", Nested()}}), MapOf({{"b", Nested()}, {"a", 1}}));
  EXPECT_EQ(MapOf({{"a", 1}, {"a", 2}}), MapOf({{"a", 2}}));
  EXPECT_NE(MapOf({{"a", 1}, {"a", 2}}), MapOf({{"a", 1}}));
  EXPECT_NE(MapOf({{"a", 1}}), MapOf({{"a", 1}, {"b", nullptr}}));
  EXPECT_NE(MapOf({{"a", 1}}), MapOf({{"a", "1"}}));
  EXPECT_NE(MapOf({{"a", 1}}), MapOf({{"a", true}}));
  EXPECT_NE(MapOf({{"a", ValueMap()}}), MapOf({{"a", ValueList()}}));
  EXPECT_EQ(MapOf({{"a", 0.1}}), MapOf({{"a", 0.1}}));
  EXPECT_NE(MapOf({{"a", 0.1}}), MapOf({{"a", std::nextafter(0.1, 1)}}));
  EXPECT_EQ(MapOf({{"a", kNan}}), MapOf({{"a", kNan}}));
}

TEST(ValueListTest, ComparesInOrder) {
  EXPECT_EQ(ListOf({1, "a", Nested()}), ListOf({1, "a", Nested()}));
  EXPECT_NE(ListOf({1, 2}), ListOf({2, 1}));
  EXPECT_NE(ListOf({1}), ListOf({1, 1}));
  ValueList list = ListOf({1, 2, 3});
  list.Clear();
  EXPECT_EQ(list, ValueList());
  list.Append(4);
  EXPECT_EQ(list, ListOf({4}));
  const ValueList copy = list;
  EXPECT_EQ(copy.size(), 1U);
  EXPECT_EQ(copy[0].AsNumber(), 4);
}

TEST(ValueTest, ToJson) {
  Value bytes;
  bytes.SetBytes("\xff\xfe");
  const std::vector<std::pair<Value, std::string>> table = {
      {nullptr, "null"},
      {true, "true"},
      {false, "false"},
      {0, "0"},
      {-3, "-3"},
      {0.5, "0.5"},
      {1e14, "100000000000000"},
      {kNan, R"("NaN")"},
      {kInfinity, R"("Infinity")"},
      {-kInfinity, R"("-Infinity")"},
      {"", R"("")"},
      {"a \"b\" \\ /", R"("a \"b\" \\ /")"},
      {"tab\tline\nreturn\r", R"("tab\tline\nreturn\r")"},
      {std::string("\x01\x1f\x00", 3), R"("\u0001\u001f\u0000")"},
      {"Grüße, 世界 🤖", "\"Grüße, 世界 🤖\""},
      {bytes, R"("//4=")"},
      {ListOf({}), "[]"},
      {ListOf({1, ListOf({"x"}), MapOf({})}), R"([1,["x"],{}])"},
      {MapOf({}), "{}"},
      {MapOf({{"b", 1}, {"a\"", 2}}), R"({"a\"":2,"b":1})"},
      {MapOf({{"a", 1}, {"b", 2}, {"a", 3}}), R"({"a":3,"b":2})"},
  };
  for (const auto& [value, json] : table) EXPECT_EQ(ToJson(value), json);
}

TEST(ValueTest, ToJsonLosesNoBitOfANumber) {
  for (const double number : {0.1, 1.0 / 3, 1e15, 123456789012345678.0, 1e300, 5e-324, -2.5e-7}) {
    EXPECT_EQ(std::strtod(ToJson(Value(number)).c_str(), nullptr), number);
  }
}

}  // namespace
}  // namespace datamanager
