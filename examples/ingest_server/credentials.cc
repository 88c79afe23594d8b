#include "ingest_server/credentials.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/json.h"
#include "datamanager/value.h"
#include "ingest_server/input_file.h"

namespace ingest {
namespace {

using datamanager::ToAbsl;
using datamanager::Value;
using datamanager::ValueMap;

// One of the file's lists, and how its objects call the secret.
struct ListFormat {
  const char* name;
  const char* type;
  const char* secret;
};
constexpr std::array<ListFormat, 2> kLists = {{
    {"api_keys", kApiKey, "key"},
    {"robot_secrets", kRobotSecret, "secret"},
}};

constexpr char kPartIds[] = "part_ids";

// With lengths, so that no part can pass for the end of the one before it.
std::string Digest(std::string_view type, std::string_view entity, std::string_view secret) {
  std::string input;
  for (const std::string_view part : {type, entity, secret}) {
    absl::StrAppend(&input, part.size(), ":", ToAbsl(part));
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(input.data()), input.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  OPENSSL_cleanse(input.data(), input.size());
  return digest;
}

absl::Status CheckKeys(const ValueMap& object, const std::string& path,
                       const std::vector<std::string>& known) {
  for (const ValueMap::Entry& entry : object) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    std::string text = absl::StrCat(path, "there is no key \"", entry.key, "\" here");
    const std::string nearest = datamanager::NearestName(entry.key, known);
    if (!nearest.empty()) absl::StrAppend(&text, "; did you mean \"", nearest, "\"?");
    return absl::InvalidArgumentError(text);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ReadPartIds(const Value& list, const std::string& path) {
  std::vector<std::string> part_ids;
  const bool is_list = list.kind() == Value::Kind::kList;
  for (size_t i = 0; is_list && i < list.AsList().size(); ++i) {
    part_ids.emplace_back(list.AsList()[i].AsString());
    if (part_ids.back().empty()) break;
  }
  if (!is_list || part_ids.empty() || part_ids.back().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, "\"", kPartIds, "\" must be a list of texts that are not empty"));
  }
  return part_ids;
}

absl::StatusOr<Credentials::Entry> ReadEntry(const Value& value, const std::string& path,
                                             const ListFormat& format) {
  if (value.kind() != Value::Kind::kMap) {
    return absl::InvalidArgumentError(absl::StrCat(path, "must be an object"));
  }
  const bool for_parts = format.type == std::string_view(kApiKey);
  std::vector<std::string> known = {"id", format.secret};
  if (for_parts) known.push_back(kPartIds);
  if (absl::Status status = CheckKeys(value.AsMap(), path, known); !status.ok()) {
    return status;
  }
  std::string_view texts[2];
  const char* const keys[2] = {"id", format.secret};
  for (int i = 0; i < 2; ++i) {
    const Value* text = value.AsMap().Find(keys[i]);
    if (text != nullptr) texts[i] = text->AsString();
    if (texts[i].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, "\"", keys[i], "\" must be a text that is not empty"));
    }
  }
  Credentials::Entry entry{.type = format.type,
                           .entity = std::string(texts[0]),
                           .digest = Digest(format.type, texts[0], texts[1])};
  if (!for_parts) {
    entry.part_ids = {entry.entity};
  } else if (const Value* list = value.AsMap().Find(kPartIds); list != nullptr) {
    absl::StatusOr<std::vector<std::string>> part_ids = ReadPartIds(*list, path);
    if (!part_ids.ok()) return part_ids.status();
    entry.part_ids = *std::move(part_ids);
  }
  return entry;
}

}  // namespace

absl::StatusOr<Credentials> Credentials::Parse(std::string_view json) {
  const absl::StatusOr<Value> value = datamanager::config::ParseJson(json);
  if (!value.ok()) {
    // The place alone: what follows it may quote the text.
    const std::string message(value.status().message());
    return absl::InvalidArgumentError(message.substr(0, message.find(": ")));
  }
  if (value->kind() != Value::Kind::kMap) {
    return absl::InvalidArgumentError("must be a JSON object");
  }
  if (absl::Status status = CheckKeys(value->AsMap(), "", {kLists[0].name, kLists[1].name});
      !status.ok()) {
    return status;
  }
  std::vector<Entry> entries;
  for (const ListFormat& format : kLists) {
    const Value* list = value->AsMap().Find(format.name);
    if (list == nullptr) continue;
    if (list->kind() != Value::Kind::kList) {
      return absl::InvalidArgumentError(absl::StrCat("\"", format.name, "\" must be a list"));
    }
    for (size_t i = 0; i < list->AsList().size(); ++i) {
      absl::StatusOr<Entry> entry =
          ReadEntry(list->AsList()[i], absl::StrCat(format.name, "[", i, "]: "), format);
      if (!entry.ok()) return entry.status();
      entries.push_back(*std::move(entry));
    }
  }
  return Credentials(std::move(entries));
}

absl::StatusOr<Credentials> Credentials::Read(const std::string& path) {
  absl::StatusOr<std::string> json = ReadSecretFile(path);
  if (!json.ok()) return json.status();
  absl::StatusOr<Credentials> credentials = Parse(*json);
  OPENSSL_cleanse(json->data(), json->size());
  if (!credentials.ok()) return datamanager::Wrap(credentials.status(), path);
  return credentials;
}

bool Credentials::Entry::MayUploadFor(std::string_view part_id) const {
  return !part_ids.has_value() ||
         std::find(part_ids->begin(), part_ids->end(), part_id) != part_ids->end();
}

const Credentials::Entry* Credentials::Find(std::string_view type, std::string_view entity,
                                            std::string_view secret) const {
  const std::string digest = Digest(type, entity, secret);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  }
  return found;
}

}  // namespace ingest
