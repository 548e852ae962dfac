#include "services/multiadmin/request_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <charconv>
#include <set>

#include "tools/result/check.h"

namespace multigres::admin {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

std::optional<int> ParseEnum(const FieldDescriptor& field, const std::string& text) {
  const auto* named = field.enum_type()->FindValueByName(text);
  if (named != nullptr) return named->number();
  return ParseNumber<int>(text);
}

// False if the text isn't of the field's type.
bool SetScalar(Message& message, const FieldDescriptor* field, const std::string& text) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  const auto put = [&](const auto& value, auto add, auto set) {
    if (!value) return false;
    repeated ? (reflection->*add)(&message, field, *value) : (reflection->*set)(&message, field, *value);
    return true;
  };
  using Reflection = google::protobuf::Reflection;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return put(std::optional(text), &Reflection::AddString, &Reflection::SetString);
    case FieldDescriptor::CPPTYPE_BOOL:
      return put(ParseBool(text), &Reflection::AddBool, &Reflection::SetBool);
    case FieldDescriptor::CPPTYPE_INT32:
      return put(ParseNumber<std::int32_t>(text), &Reflection::AddInt32, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return put(ParseNumber<std::int64_t>(text), &Reflection::AddInt64, &Reflection::SetInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return put(ParseNumber<std::uint32_t>(text), &Reflection::AddUInt32, &Reflection::SetUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return put(ParseNumber<std::uint64_t>(text), &Reflection::AddUInt64, &Reflection::SetUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return put(ParseNumber<double>(text), &Reflection::AddDouble, &Reflection::SetDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return put(ParseNumber<float>(text), &Reflection::AddFloat, &Reflection::SetFloat);
    case FieldDescriptor::CPPTYPE_ENUM:
      return put(ParseEnum(*field, text), &Reflection::AddEnumValue, &Reflection::SetEnumValue);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return false;
}

}  // namespace

void SetPathField(Message& message, std::string_view path, const std::string& value) {
  Message* holder = &message;
  while (true) {
    const auto dot = path.find('.');
    const auto* field = holder->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
    CHECK(field != nullptr && !field->is_repeated(), "a route's parameter names a field of its request");
    if (dot == std::string_view::npos) {
      CHECK(SetScalar(*holder, field, value), "a route's parameter names a text field");
      return;
    }
    holder = holder->GetReflection()->MutableMessage(holder, field);
    path.remove_prefix(dot + 1);
  }
}

Result<> SetQueryFields(Message& message, const std::vector<std::pair<std::string, std::string>>& query,
                        const std::vector<std::string>& taken) {
  const auto* descriptor = message.GetDescriptor();
  std::set<const FieldDescriptor*> seen;
  for (const auto& [name, value] : query) {
    const auto* field = descriptor->FindFieldByName(name);
    if (field == nullptr) field = descriptor->FindFieldByCamelcaseName(name);
    const bool settable = field != nullptr && field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE &&
                          std::ranges::find(taken, field->name()) == taken.end();
    if (!settable) return Fail(Code::kInvalidArgument, fmt::format("unknown query field '{}'", name));
    if (!seen.insert(field).second && !field->is_repeated()) {
      return Fail(Code::kInvalidArgument, fmt::format("query field '{}' is given more than once", name));
    }
    if (!SetScalar(message, field, value)) {
      return Fail(Code::kInvalidArgument, fmt::format("query field '{}': bad value '{}'", name, value));
    }
  }
  return {};
}

}  // namespace multigres::admin
