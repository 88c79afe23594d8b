#include "config/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/proto_value.h"
#include "base/strings.h"
#include "config/findings.h"
#include "config/json_hint.h"

namespace datamanager::config {
namespace {

namespace pb = ::google::protobuf;

struct SyntaxError {
  std::string what;
  std::optional<size_t> offset;  // Where in the text, if known.
};

// Parses what `input` gives until Protobuf is sure of an error, and returns its message.
std::string ErrorFrom(pb::io::ZeroCopyInputStream& input) {
  std::string binary;
  pb::io::StringOutputStream output(&binary);
  const std::unique_ptr<pb::util::TypeResolver> resolver(pb::util::NewTypeResolverForDescriptorPool(
      "type.googleapis.com", pb::DescriptorPool::generated_pool()));
  const auto status = pb::util::JsonToBinaryStream(
      resolver.get(), "type.googleapis.com/google.protobuf.Value", &input, &output);
  return {status.message().data(), status.message().size()};
}

// Protobuf reports a syntax error as "<what>\n<some of the text around it>\n<blanks>^", without
// saying where in the text that is. Fed byte by byte it stops right after it is sure of the error,
// and the text in its message then ends with the last byte it took: that gives the place. As single
// bytes are slow, all before the block with the error goes in at once.
SyntaxError Locate(std::string_view text) {
  constexpr int kBlock = 4096;
  const int size = static_cast<int>(text.size());
  pb::io::ArrayInputStream blocks(text.data(), size, kBlock);
  ErrorFrom(blocks);
  const int before = std::max(0, (static_cast<int>(blocks.ByteCount()) - 1) / kBlock * kBlock);
  pb::io::ArrayInputStream head(text.data(), before);
  pb::io::ArrayInputStream tail(text.data() + before, size - before, /*block_size=*/1);
  pb::io::ZeroCopyInputStream* parts[] = {&head, &tail};
  pb::io::ConcatenatingInputStream input(parts, 2);
  const std::string message = ErrorFrom(input);
  const size_t consumed = static_cast<size_t>(input.ByteCount());

  const size_t first = message.find('\n');
  const size_t last = message.rfind('\n');
  if (first == last || !absl::EndsWith(message, "^")) {
    // About the document as a whole: "(<path in Protobuf's terms>) <key>: <what>".
    const size_t end = absl::StartsWith(message, "(") ? message.find(") ") : std::string::npos;
    return {end == std::string::npos ? message : message.substr(end + 2), std::nullopt};
  }
  const size_t shown = last - first - 1;
  const size_t caret = message.size() - last - 2;
  SyntaxError error{message.substr(0, first), std::nullopt};
  if (shown <= consumed && caret <= shown) error.offset = consumed - shown + caret;
  return error;
}

// The line that ends before `line_start`, unless it is blank: then the one before it.
std::string_view LineBefore(std::string_view text, size_t line_start) {
  const std::string_view before = text.substr(0, line_start);
  const std::string_view lines = before.substr(0, before.find_last_not_of(" \t\r\n") + 1);
  return lines.substr(lines.rfind('\n') + 1);  // npos + 1 is the start of the text.
}

// The line around `offset`, and a caret below it.
std::string Context(std::string_view text, size_t line_start, size_t offset) {
  std::string_view line = text.substr(line_start);
  line = line.substr(0, line.find('\n'));
  // A value may stand on the line below its key.
  if (MayHoldSecret(line) || MayHoldSecret(LineBefore(text, line_start)))
    return "\n  (a line that may hold a secret is not shown)";

  constexpr size_t kBefore = 40;
  constexpr size_t kWidth = 80;
  size_t caret = offset - line_start;
  if (caret > kBefore) {
    line.remove_prefix(caret - kBefore);
    caret = kBefore;
  }
  std::string shown(line.substr(0, kWidth));
  for (char& c : shown) {
    if (c == '\t') c = ' ';
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return absl::StrCat("\n  ", shown, "\n  ", std::string(caret, ' '), "^");
}

absl::Status StatusAt(std::string_view text, size_t offset, std::string_view what,
                      std::string_view hint) {
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is the start of the text.
  return absl::InvalidArgumentError(
      absl::StrCat("not valid JSON at line ", std::count(before.begin(), before.end(), '\n') + 1,
                   ", column ", offset - line_start + 1, ": ", ToAbsl(what),
                   hint.empty() ? "" : "; ", ToAbsl(hint), Context(text, line_start, offset)));
}

absl::Status SyntaxStatus(std::string_view text) {
  SyntaxError error = Locate(text);
  // The parser takes the first of the two for the beginning of a regular expression.
  if (error.offset.value_or(0) > 0 && text[*error.offset - 1] == '/') --*error.offset;
  const std::string_view hint = JsonHint(text, error.offset);
  if (!error.offset.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not valid JSON: ", error.what, hint.empty() ? "" : "; ", ToAbsl(hint)));
  }
  return StatusAt(text, *error.offset, error.what, hint);
}

// How deep lists and objects stand in each other, or somewhat more if the text is not valid JSON.
int Depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\') ++i;
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

absl::StatusOr<Value> ParseJson(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    return absl::InvalidArgumentError(absl::StrCat("longer than ", kMaxJsonBytes, " bytes"));
  }
  // Some editors put a byte order mark before UTF-8.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return absl::InvalidArgumentError("not valid JSON: it is UTF-16; save it as UTF-8");
  }
  if (const std::optional<size_t> at = FirstNotUtf8(text); at.has_value()) {
    return StatusAt(text, *at, "this byte is not UTF-8",
                    "save the file as UTF-8, perhaps it is Latin-1");
  }
  if (Depth(text) > kMaxJsonDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat("lists and objects nested deeper than ", kMaxJsonDepth, " levels"));
  }
  pb::Value parsed;
  if (!pb::util::JsonStringToMessage({text.data(), text.size()}, &parsed).ok()) {
    return SyntaxStatus(text);
  }
  Value value;
  FromProto(parsed, value);
  return value;
}

}  // namespace datamanager::config
