#include "config/json.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/config/text.h"

namespace datamanager::config {
namespace {

std::string ErrorOf(std::string_view text) {
  return std::string(ParseJson(text).status().message());
}

TEST(JsonTest, KeepsEveryKindOfValue) {
  const auto value =
      ParseJson(R"({"b": [true, null, -2.5e3, "tä\n"], "a": {"x": {}}, "fields": 1})");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(ToJson(*value), R"({"a":{"x":{}},"b":[true,null,-2500,"tä\n"],"fields":1})");
}

TEST(JsonTest, ObjectsComeInTheOrderOfTheirKeys) {
  const auto value = ParseJson(R"({"c": 1, "a": 2, "b": 3})");
  ASSERT_TRUE(value.ok()) << value.status();
  std::string keys;
  for (const ValueMap::Entry& entry : value->AsMap()) keys += entry.key;
  EXPECT_EQ(keys, "abc");
}

TEST(JsonTest, ErrorsComeWithLineColumnAndTheLine) {
  EXPECT_EQ(ErrorOf("{\n  \"a\": 1,\n  \"b\": tru\n}"),
            "not valid JSON at line 3, column 8: Unexpected token.\n"
            "    \"b\": tru\n"
            "         ^");
  EXPECT_TRUE(Has(ErrorOf("{\n  \"a\": 1\n  \"b\": 2\n}"),
                  "at line 3, column 3: Expected , or } after key:value pair."))
      << ErrorOf("{\n  \"a\": 1\n  \"b\": 2\n}");
  EXPECT_TRUE(Has(ErrorOf("{\"a\": 1"), "at line 1, column 8: Unexpected end of string."))
      << ErrorOf("{\"a\": 1");
  EXPECT_TRUE(Has(ErrorOf("{\"a\": 1} x"), "at line 1, column 10:")) << ErrorOf("{\"a\": 1} x");
  EXPECT_TRUE(
      Has(ErrorOf("{\"a\": 1e400}"), "at line 1, column 7: Number exceeds the range of double."))
      << ErrorOf("{\"a\": 1e400}");
  EXPECT_TRUE(Has(ErrorOf("{\"a\": \"\u00e4\u20ac\", !}"), "at line 1, column 16:"));
  EXPECT_TRUE(Has(ErrorOf("{\"a\": NaN}"), "at line 1, column 7:")) << ErrorOf("{\"a\": NaN}");
}

TEST(JsonTest, AByteOrderMarkIsNoFault) {
  const auto value = ParseJson("\xef\xbb\xbf{\"a\": 1}");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(ToJson(*value), R"({"a":1})");
  EXPECT_TRUE(Has(ErrorOf("\xef\xbb\xbf{!"), "at line 1, column 2:")) << ErrorOf("\xef\xbb\xbf{!");
}

TEST(JsonTest, ErrorsSayWhatToDo) {
  const struct {
    std::string text, place, hint;
  } kCases[] = {
      {"{\n  // the arm\n  \"a\": 1\n}", "line 2, column 3", "JSON has no comments: remove them"},
      {"{\"a\": 1 /* one */}", "line 1, column 9", "JSON has no comments: remove them"},
      {"{\n\"a\": 1, # one\n\"b\": 2}", "line 2, column 9", "JSON has no comments: remove them"},
      {"{\n\"a\": ${PORT}\n}", "line 2, column 6",
       "a variable stands in quotes, also where a number is due: \"${NAME}\""},
      {"{\"a\": $PORT}", "line 1, column 7",
       "a variable stands in quotes, also where a number is due: \"${NAME}\""},
      {"{\n\"a\": \"x\"\n\"b\": 2}", "line 3, column 1", "a comma is missing before it"},
      {"[1, 2,, 3]", "line 1, column 7", ""},
      {"<!DOCTYPE html>\n<html></html>", "line 1, column 1",
       "it looks like HTML: perhaps a login or error page was saved in place of the config"},
      {"{\"a\": {\"b\": 1}", "line 1, column 15",
       "the text ends too early: a bracket or a quote is not closed"},
      {"{\n\"name\": \"K\xfc"
       "che\"}",
       "line 2, column 11",
       "this byte is not UTF-8; save the file as UTF-8, perhaps it is Latin-1"},
      {" \n", "", "the file is empty"},
      {std::string("\xff\xfe{\0}\0", 6), "", "it is UTF-16; save it as UTF-8"},
  };
  for (const auto& test : kCases) {
    const std::string error = ErrorOf(test.text);
    EXPECT_TRUE(Has(error, "not valid JSON")) << error;
    EXPECT_TRUE(Has(error, test.place)) << error;
    EXPECT_TRUE(Has(error, test.hint)) << error;
  }
}

TEST(JsonTest, TheSameTextEarlierDoesNotMisleadTheColumn) {
  std::string text = "{\"list\": [\n";
  for (int i = 0; i < 20; ++i) text += "  {\"a\": true},\n";
  text += "  {\"a\": true]\n]}";
  EXPECT_TRUE(Has(ErrorOf(text), "at line 22, column 13:")) << ErrorOf(text);
}

TEST(JsonTest, LongLinesAreCutAroundTheError) {
  const std::string message = ErrorOf("{\"a\": \"" + std::string(500, 'z') + "\" ! }");
  EXPECT_LT(message.size(), 250U);
  EXPECT_TRUE(Has(message, "column 510:")) << message;
  EXPECT_TRUE(Has(message, "zzz\" ! }\n")) << message;
}

TEST(JsonTest, ALineWithASecretIsNotShown) {
  const std::string message = ErrorOf("{\n\"secret\": \"hush\" \"a\": 1}");
  EXPECT_TRUE(Has(message, "at line 2, column 18:")) << message;
  EXPECT_FALSE(Has(message, "hush")) << message;
}

TEST(JsonTest, ALineBelowASecretsKeyIsNotShown) {
  for (const std::string json :
       {"{\"secret\":\n\"hush\" oops}", "{\"key\":\n \n\t\r\n  \"hush\" oops}"}) {
    const std::string message = ErrorOf(json);
    EXPECT_TRUE(Has(message, "column")) << message;
    EXPECT_FALSE(Has(message, "hush")) << message;
  }
}

TEST(JsonTest, AKeyThatStandsTwiceIsAnError) {
  EXPECT_TRUE(Has(ErrorOf(R"({"x": {"a": 1, "a": 2}})"), "Repeated map key: 'a'"))
      << ErrorOf(R"({"x": {"a": 1, "a": 2}})");
}

std::string Nested(int depth, const std::string& open, const std::string& close) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += open;
  text += "1";
  for (int i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(JsonTest, NestingHasALimit) {
  EXPECT_TRUE(ParseJson(Nested(kMaxJsonDepth, "{\"a\":", "}")).ok());
  EXPECT_TRUE(ParseJson(Nested(kMaxJsonDepth, "[", "]")).ok());
  EXPECT_TRUE(ParseJson(Nested(kMaxJsonDepth / 2, "{\"a\":[", "]}")).ok());
  EXPECT_TRUE(ParseJson("\"" + Nested(1000, "[", "]") + "\\\"[\"").ok());
  for (const int depth : {kMaxJsonDepth + 1, 1'000, 1'000'000}) {
    for (const std::string& text : {Nested(depth, "{\"a\":", "}"), Nested(depth, "[", "]"),
                                    Nested(depth, "{\"a\":", ""), Nested(depth, "[", "")}) {
      EXPECT_EQ(ErrorOf(text), "lists and objects nested deeper than 30 levels");
    }
  }
}

TEST(JsonTest, ErrorsAreLocatedInLongTextsToo) {
  std::string text = "{\"list\": [\n";
  for (int i = 0; i < 10'000; ++i) text += "  {\"number\": 123},\n";
  EXPECT_TRUE(Has(ErrorOf(text + "  !]}"), "at line 10002, column 3:"));
  EXPECT_TRUE(Has(ErrorOf(text + "  {\"x\": 1, "), "at line 10002, column 12:"));
}

TEST(JsonTest, GarbageIsRefused) {
  const std::string_view kGarbage[] = {
      "",
      "\0\0\0",
      "\xff\xfe{}",
      "\x7f"
      "ELF",
      "{'",
      "\"",
      "{\"a\":\"\\ud800\"}",
      "{\"a\":\"\xc3\"}",
      "{\"a\":01}",
      "// comment\n{}",
      "nul",
      "[1,,2]",
      "{]",
      "}",
  };
  for (const std::string_view text : kGarbage) {
    EXPECT_EQ(ParseJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(JsonTest, EveryTruncationIsRefused) {
  const std::string text = R"({"a": [1, {"b": "c\u00e4", "d": -1.5e2}], "e": null, "f": "ä"})";
  ASSERT_TRUE(ParseJson(text).ok());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseJson(std::string_view(text).substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace datamanager::config
