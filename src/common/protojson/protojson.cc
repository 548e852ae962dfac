#include "common/protojson/protojson.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

namespace multigres::protojson {

namespace pb = google::protobuf;

namespace {

constexpr const char* kTypePrefix = "type.googleapis.com";

// Deterministic: the order of a map's entries in memory changes from run to run.
bool Serialize(const pb::Message& message, std::string& out) {
  pb::io::StringOutputStream stream(&out);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  return message.SerializeToCodedStream(&coded);
}

// protobuf shows the place in the text on further lines.
std::string FirstLine(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

Result<std::string> ToJson(const pb::Message& message) {
  static const std::unique_ptr<pb::util::TypeResolver> resolver(
      pb::util::NewTypeResolverForDescriptorPool(kTypePrefix, pb::DescriptorPool::generated_pool()));
  std::string binary;
  const std::string& name = message.GetDescriptor()->full_name();
  if (!Serialize(message, binary)) return Fail(Code::kInternal, fmt::format("cannot serialize {}", name));
  std::string text;
  const auto status =
      pb::util::BinaryToJsonString(resolver.get(), fmt::format("{}/{}", kTypePrefix, name), binary, &text);
  if (!status.ok()) {
    const auto why = status.message();
    return Fail(Code::kInternal, fmt::format("{} as JSON: {}", name, FirstLine({why.data(), why.size()})));
  }
  return text;
}

Result<> FromJson(std::string_view text, pb::Message& message) {
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] != '{') {
    return Fail(Code::kInvalidArgument, "a JSON object is expected");
  }
  const auto status = pb::util::JsonStringToMessage({text.data(), text.size()}, &message);
  if (!status.ok()) {
    const auto why = status.message();
    return Fail(Code::kInvalidArgument, "bad JSON: " + FirstLine({why.data(), why.size()}));
  }
  return {};
}

}  // namespace multigres::protojson
