#include "cmd/protoc-gen-multigres/naming.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

namespace multigres::protocgen {
namespace {

std::string Replace(std::string text, char from, const std::string& to) {
  std::string replaced;
  for (const char c : text) {
    if (c == from) {
      replaced += to;
    } else {
      replaced += c;
    }
  }
  return replaced;
}

std::string CppNamespace(const google::protobuf::FileDescriptor& file) {
  return Replace(file.package(), '.', "::");
}

// Without its namespace.
std::string ClassName(const google::protobuf::Descriptor& message) {
  if (message.containing_type() == nullptr) return message.name();
  return ClassName(*message.containing_type()) + "_" + message.name();
}

}  // namespace

Shape ShapeOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? Shape::kBidi : Shape::kClientStream;
  return method.server_streaming() ? Shape::kServerStream : Shape::kUnary;
}

std::string ShapeName(Shape shape) {
  switch (shape) {
    case Shape::kUnary:
      return "kUnary";
    case Shape::kServerStream:
      return "kServerStream";
    case Shape::kClientStream:
      return "kClientStream";
    case Shape::kBidi:
      return "kBidi";
  }
  return "";
}

std::string BaseName(const google::protobuf::FileDescriptor& file) {
  return file.name().substr(0, file.name().rfind(".proto"));
}

std::string RpcNamespace(const google::protobuf::FileDescriptor& file) {
  const std::string package = CppNamespace(file);
  return package.empty() ? "rpc" : package + "::rpc";
}

std::string CppName(const google::protobuf::Descriptor& message) {
  const std::string package = CppNamespace(*message.file());
  return (package.empty() ? "::" : "::" + package + "::") + ClassName(message);
}

std::string HandlerName(const google::protobuf::MethodDescriptor& method) {
  return method.name() == method.service()->name() ? method.name() + "_" : method.name();
}

std::map<std::string, std::set<std::string>> MessagesByNamespace(const google::protobuf::FileDescriptor& file) {
  std::map<std::string, std::set<std::string>> messages;
  for (int i = 0; i < file.service_count(); ++i) {
    const google::protobuf::ServiceDescriptor& service = *file.service(i);
    for (int j = 0; j < service.method_count(); ++j) {
      for (const auto* message : {service.method(j)->input_type(), service.method(j)->output_type()}) {
        messages[CppNamespace(*message->file())].insert(ClassName(*message));
      }
    }
  }
  return messages;
}

}  // namespace multigres::protocgen
