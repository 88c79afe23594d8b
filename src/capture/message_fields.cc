#include "capture/message_fields.h"

#include <google/protobuf/descriptor.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::string TypeOf(const FieldDescriptor& field) {
  return absl::StrCat(field.is_repeated() ? "repeated " : "", field.type_name());
}

}  // namespace

absl::StatusOr<MessageFields> BindFields(const Descriptor& known, const Descriptor& given) {
  MessageFields fields;
  // Struct and Value are made of each other, and every class takes them from Protobuf.
  if (known.file()->name() == "google/protobuf/struct.proto") {
    if (known.full_name() == given.full_name()) return fields;
    return absl::InvalidArgumentError(
        absl::StrCat("a ", given.full_name(), " instead of a ", known.full_name()));
  }
  for (int i = 0; i < known.field_count(); ++i) {
    const FieldDescriptor& field = *known.field(i);
    const FieldDescriptor* like = given.FindFieldByName(field.name());
    if (like == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("no field ", field.name()));
    }
    if (like->type() != field.type() || like->is_repeated() != field.is_repeated()) {
      return absl::InvalidArgumentError(absl::StrCat("a field ", field.name(), " of type ",
                                                     TypeOf(*like), ", not ", TypeOf(field)));
    }
    MessageField& bound = fields.emplace_back();
    bound.known = &field;
    bound.given = like;
    if (field.message_type() == nullptr) continue;
    absl::StatusOr<MessageFields> nested = BindFields(*field.message_type(), *like->message_type());
    if (!nested.ok()) return Wrap(nested.status(), absl::StrCat("in ", field.name()));
    bound.fields = *std::move(nested);
  }
  return fields;
}

}  // namespace datamanager::capture
