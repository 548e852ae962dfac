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

// protobuf's parser would spend half a minute on 16 MB of open brackets.
bool IsNestedTooDeeply(std::string_view text) {
  constexpr int kMaxDepth = 64;  // no message of ours has more than a dozen
  int depth = 0;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\') ++i;
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {  // it takes both
      quote = c;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
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
  if (IsNestedTooDeeply(text)) return Fail(Code::kInvalidArgument, "bad JSON: nested too deeply");
  const auto status = pb::util::JsonStringToMessage({text.data(), text.size()}, &message);
  if (!status.ok()) {
    const auto why = status.message();
    return Fail(Code::kInvalidArgument, "bad JSON: " + FirstLine({why.data(), why.size()}));
  }
  return {};
}

}  // namespace multigres::protojson
