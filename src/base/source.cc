#include "datamanager/source.h"

#include <google/protobuf/message.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"

namespace datamanager {
namespace {

// By which filter modules tell the reference.
constexpr char kFilterText[] = "no capture from filter module";

}  // namespace

absl::Status NothingToStore() { return absl::FailedPreconditionError(kFilterText); }

bool IsNothingToStore(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), kFilterText);
}

Images& Images::operator=(Images&& other) {
  if (this == &other) return *this;
  images_.swap(other.images_);
  size_ = std::exchange(other.size_, 0);
  captured_at_ = std::exchange(other.captured_at_, std::nullopt);
  return *this;
}

Image& Images::Add() {
  if (size_ == images_.size()) images_.emplace_back();
  Image& image = images_[size_++];
  image.source_name.clear();
  image.mime_type.clear();
  image.data.clear();
  image.annotations.bboxes.clear();
  image.annotations.classifications.clear();
  return image;
}

void Images::Clear() {
  size_ = 0;
  captured_at_.reset();
}

Messages::Messages(const Messages& other) : make_(other.make_) { *this = other; }

Messages& Messages::operator=(const Messages& other) {
  if (this == &other) return *this;
  make_ = other.make_;
  messages_.clear();  // They may have another class.
  size_ = 0;
  for (size_t i = 0; i < other.size(); ++i) Add().CopyFrom(other[i]);
  return *this;
}

Messages::Messages(Messages&& other) : make_(other.make_) { *this = std::move(other); }

Messages& Messages::operator=(Messages&& other) {
  if (this == &other) return *this;
  make_ = other.make_;
  messages_ = std::exchange(other.messages_, {});
  size_ = std::exchange(other.size_, 0);
  return *this;
}

google::protobuf::Message& Messages::Add() {
  if (size_ == messages_.size()) {
    messages_.push_back(make_());
  } else {
    messages_[size_]->Clear();
  }
  return *messages_[size_++];
}

void Sources::AddReadings(std::string_view api, std::string_view name, ReadingsSource source) {
  sources_[Key(api, name, "Readings")] = std::make_shared<const SourceFunction>(std::move(source));
}

void Sources::AddDoCommand(std::string_view api, std::string_view name, ReadingsSource source) {
  sources_[Key(api, name, "DoCommand")] = std::make_shared<const SourceFunction>(std::move(source));
}

void Sources::AddImages(std::string_view name, ImagesSource source) {
  const std::string api = "rdk:component:camera";
  for (const char* method : {"GetImages", "ReadImage"}) {
    sources_[Key(api, name, method)] = std::make_shared<const SourceFunction>(source);
  }
}

void Sources::AddMessages(std::string_view api, std::string_view name, std::string_view method,
                          MessageSource source) {
  sources_[Key(api, name, method)] = std::make_shared<const SourceFunction>(std::move(source));
}

void Sources::Remove(std::string_view api, std::string_view name) {
  std::erase_if(sources_, [&](const auto& entry) {
    return std::get<0>(entry.first) == api && std::get<1>(entry.first) == name;
  });
}

std::shared_ptr<const SourceFunction> Sources::Find(std::string_view api, std::string_view name,
                                                    std::string_view method) const {
  const auto found = sources_.find(Key(api, name, method));
  return found == sources_.end() ? nullptr : found->second;
}

std::vector<std::string> Sources::ApisOf(std::string_view name) const {
  std::vector<std::string> apis;
  for (const auto& [key, source] : sources_) {
    const std::string& api = std::get<0>(key);
    if (std::get<1>(key) == name && (apis.empty() || apis.back() != api)) apis.push_back(api);
  }
  return apis;
}

bool Sources::Has(std::string_view api, std::string_view name) const {
  const auto found = sources_.lower_bound(Key(api, name, ""));
  return found != sources_.end() && std::get<0>(found->first) == api &&
         std::get<1>(found->first) == name;
}

}  // namespace datamanager
