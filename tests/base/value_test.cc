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

// A value given may be a part of the one that takes it, or contain it: run this under ASan, too.

// Long enough for memory of its own, and short enough to lie inside the string.
const std::string kLong(100, 'l');
const std::string kShort = "short";

// Filled to the last place that it has storage for, or with places left over.
ValueMap FilledMap(bool full) {
  ValueMap map;
  for (int i = 0; i < 8; ++i) map.Set(std::to_string(i), i);
  if (!full) {
    map.Clear();
    for (int i = 0; i < 4; ++i) map.Set(std::to_string(i), i);
  }
  return map;
}
ValueList FilledList(bool full) {
  ValueList list;
  for (int i = 0; i < 8; ++i) list.Append(i);
  if (!full) {
    list.Clear();
    for (int i = 0; i < 4; ++i) list.Append(i);
  }
  return list;
}

TEST(ValueMapTest, TakesAPartOfItself) {
  for (const Value& part : {Value(1), Value(kShort), Value(kLong), Value(ListOf({1, kLong})),
                            Value(MapOf({{kShort, kLong}})), Nested()}) {
    for (const bool full : {true, false}) {
      ValueMap map = FilledMap(full);
      map.Set("part", part);
      while (full && map.size() < 16) map.Set("more", 1);
      const ValueMap before = map;
      map.Set("copy", *map.Find("part"));
      EXPECT_EQ(*map.Find("part"), part);
      EXPECT_EQ(*map.Find("copy"), part);
      map.Set("text", map.Find("part")->AsString());
      EXPECT_EQ(map.Find("text")->AsString(), part.AsString());
      map.Set("list", map.Find("part")->AsList());
      EXPECT_EQ(map.Find("list")->AsList(), part.AsList());
      map.Set("map", map.Find("part")->AsMap());
      EXPECT_EQ(map.Find("map")->AsMap(), part.AsMap());
      map.Set(map.begin()->key, 77);
      EXPECT_EQ(map.Find("0")->AsNumber(), 77);
      map.Add(map.begin()->key).SetNumber(78);
      EXPECT_EQ(map.Find("0")->AsNumber(), 78);
    }
  }
}

TEST(ValueMapTest, TakesAPartOfItselfAtEverySize) {
  ValueMap map = MapOf({{kLong, kShort}});
  ValueList list = ListOf({kShort});
  for (int i = 0; i < 100; ++i) {
    map.Set(map.begin()->key, map.begin()->value);
    map.Add(map.begin()->key) = Value(kShort);
    list.Append(list[0]);
    list.Append(list[0].AsString());
  }
  EXPECT_EQ(map, MapOf({{kLong, kShort}}));
  EXPECT_EQ(map.size(), 201U);
  EXPECT_EQ(list.size(), 201U);
  for (const Value& value : list) EXPECT_EQ(value, Value(kShort));
}

TEST(ValueMapTest, TakesItselfAsItWas) {
  for (const bool full : {true, false}) {
    ValueMap map = FilledMap(full);
    const ValueMap before = map;
    map.Set("self", map);
    EXPECT_EQ(map.Find("self")->AsMap(), before);
    EXPECT_EQ(map.size(), before.size() + 1);

    ValueMap moved = FilledMap(full);
    moved.Set("self", std::move(moved));
    EXPECT_EQ(moved, MapOf({{"self", before}}));  // NOLINT(bugprone-use-after-move)

    ValueList list = FilledList(full);
    const ValueList list_before = list;
    list.Append(list);
    EXPECT_EQ(list[list.size() - 1].AsList(), list_before);
    list.Append(std::move(list));
    EXPECT_EQ(list.size(), 1U);  // NOLINT(bugprone-use-after-move)
  }
}

TEST(ValueListTest, TakesAPartOfItself) {
  for (const bool full : {true, false}) {
    ValueList list = FilledList(full);
    list.Append(list[3]);
    EXPECT_EQ(list[list.size() - 1], Value(3));
    list.Append(Nested());
    list.Append(*list[list.size() - 1].AsMap().Find("list"));
    EXPECT_EQ(list[list.size() - 1], Value(ListOf({1, "two", nullptr})));
    list.Append(list[list.size() - 1].AsList());
    EXPECT_EQ(list[list.size() - 1], Value(ListOf({1, "two", nullptr})));
    Value& last = list.Add();
    last.SetString(kLong);
    list.Append(std::move(last));
    EXPECT_EQ(list[list.size() - 1], Value(kLong));
  }
}

// All ways in which a value can take a value that lies anywhere in it.
TEST(ValueTest, TakesAPartOfItself) {
  using Take = void (*)(Value & value, Value & part);
  const std::vector<Take> ways = {
      [](Value& value, Value& part) { value = part; },
      [](Value& value, Value& part) { value = std::move(part); },
      [](Value& value, Value& part) { value.Set(part); },
      [](Value& value, Value& part) { value.Set(std::move(part)); },
      [](Value& value, Value& part) { value.Set(std::as_const(part)); },
  };
  const std::vector<Value> parts = {nullptr, true, 1, kShort, kLong, ListOf({1, kLong}), Nested()};
  for (const Value& part : parts) {
    for (const Take take : ways) {
      Value in_map;
      ValueMap& map = in_map.SetMap();
      map.Set("other", kLong);
      Value& of_map = map.Add("part");
      of_map = part;
      take(in_map, of_map);
      EXPECT_EQ(in_map, part);

      Value in_list;
      Value& of_list = in_list.SetList().Add().SetMap().Add("part").SetList().Add();
      of_list = part;
      take(in_list, of_list);
      EXPECT_EQ(in_list, part);
    }
    Value value = MapOf({{"a", MapOf({{"part", part}})}, {"b", ListOf({part})}});
    value.Set(value.AsMap().Find("a")->AsMap());
    EXPECT_EQ(value, Value(MapOf({{"part", part}})));
    value = ListOf({1, ListOf({part})});
    value.Set(value.AsList()[1].AsList());
    EXPECT_EQ(value, Value(ListOf({part})));
    value = MapOf({{"a", ListOf({part})}});
    value.Set(value.AsMap().Find("a")->AsList());
    EXPECT_EQ(value, Value(ListOf({part})));
  }
  Value text = MapOf({{kShort, kLong}});
  text.SetString(text.AsMap().begin()->key);
  EXPECT_EQ(text, Value(kShort));
  text.SetString(text.AsString().substr(1, 3));
  EXPECT_EQ(text, Value("hor"));
}

TEST(ValueTest, TakesItselfUnchanged) {
  for (const Value& value :
       {Value(), Value(1), Value(kLong), Value(ListOf({1, kLong})), Nested()}) {
    Value it = value;
    Value& same = it;
    it = same;
    EXPECT_EQ(it, value);
    it = std::move(same);
    EXPECT_EQ(it, value);
    it.Set(it.AsMap().empty() ? it : Value(it.AsMap()));
    EXPECT_EQ(it, value);
  }
  Value map = Nested();
  map.Set(map.AsMap());
  EXPECT_EQ(map, Nested());
  Value list = ListOf({1, kLong});
  list.Set(list.AsList());
  EXPECT_EQ(list, Value(ListOf({1, kLong})));
}

// The opposite case: the whole becomes a part of itself.
TEST(ValueTest, IsTakenByAPartOfItself) {
  using Take = void (*)(Value & part, Value & value);
  const std::vector<Take> ways = {
      [](Value& part, Value& value) { part = value; },
      [](Value& part, Value& value) { part = std::move(value); },
      [](Value& part, Value& value) { part.Set(value.AsMap()); },
      [](Value& part, Value& value) { part.SetMap().Set("in", value); },
      [](Value& part, Value& value) { part.SetList().Append(value.AsMap()); },
      [](Value& part, Value& value) { part.SetMap() = value.AsMap(); },
  };
  for (const Value& first :
       {Value(1), Value(kLong), Value(ListOf({1})), Value(MapOf({{"x", 1}}))}) {
    for (size_t way = 0; way < ways.size(); ++way) {
      Value value;
      ValueMap& map = value.SetMap();
      map.Set("text", kLong);
      Value& part = map.Add("part");
      part = first;
      ways[way](part, value);
      ASSERT_EQ(value.AsMap().size(), 2U);
      EXPECT_EQ(value.AsMap().Find("text")->AsString(), kLong);
      Value taken = *value.AsMap().Find("part");
      if (way == 3) taken = *taken.AsMap().Find("in");
      if (way == 4) taken = taken.AsList()[0];
      // The state before the call; the last three ways have an empty part by then.
      const Value then = way < 3 ? first : way == 4 ? Value(ValueList()) : Value(ValueMap());
      EXPECT_EQ(taken, Value(MapOf({{"text", kLong}, {"part", then}}))) << way;
    }
  }
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
