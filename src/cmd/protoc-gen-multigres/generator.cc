#include "cmd/protoc-gen-multigres/generator.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include "cmd/protoc-gen-multigres/naming.h"

namespace multigres::protocgen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;
using Variables = std::map<std::string, std::string>;

Variables MethodVariables(const MethodDescriptor& method) {
  return {
      {"method", method.name()},
      {"handler", HandlerName(method)},
      {"service", method.service()->name()},
      {"path", "/" + method.service()->full_name() + "/" + method.name()},
      {"request", CppName(*method.input_type())},
      {"response", CppName(*method.output_type())},
      {"shape", ShapeName(ShapeOf(method))},
  };
}

// The skeleton's signature from the name on, without the trailing semicolon; `scope` is empty or "Service::".
std::string ServerSignature(const MethodDescriptor& method, const std::string& scope) {
  const std::string request = CppName(*method.input_type());
  const std::string response = CppName(*method.output_type());
  const std::string returns_one = "::multigres::Awaitable<::multigres::Result<" + response + ">> ";
  const std::string head = scope + HandlerName(method) + "(::multigres::rpc::ServerContext& context, ";
  switch (ShapeOf(method)) {
    case Shape::kUnary:
      return returns_one + head + "const " + request + "& request)";
    case Shape::kServerStream:
      return "::multigres::Awaitable<::multigres::Result<>> " + head + "const " + request +
             "& request, ::multigres::rpc::ServerWriter<" + response + ">& writer)";
    case Shape::kClientStream:
      return returns_one + head + "::multigres::rpc::ServerReader<" + request + ">& reader)";
    case Shape::kBidi:
      return "::multigres::Awaitable<::multigres::Result<>> " + head + "::multigres::rpc::ServerStream<" + request +
             ", " + response + ">& stream)";
  }
  return "";
}

// The client's signature; the default argument stands in the header only.
std::string ClientSignature(const MethodDescriptor& method, const std::string& scope, bool header) {
  const std::string request = CppName(*method.input_type());
  const std::string response = CppName(*method.output_type());
  const std::string options =
      header ? "::multigres::rpc::CallOptions options = {})" : "::multigres::rpc::CallOptions options)";
  const std::string name = scope + method.name();
  switch (ShapeOf(method)) {
    case Shape::kUnary:
      return "::multigres::Awaitable<::multigres::Result<" + response + ">> " + name + "(" + request + " request, " +
             options;
    case Shape::kServerStream:
      return "::multigres::rpc::ClientReader<" + response + "> " + name + "(const " + request + "& request, " + options;
    case Shape::kClientStream:
      return "::multigres::rpc::ClientWriter<" + request + ", " + response + "> " + name + "(" + options;
    case Shape::kBidi:
      return "::multigres::rpc::ClientStream<" + request + ", " + response + "> " + name + "(" + options;
  }
  return "";
}

void PrintForwardDeclarations(const FileDescriptor& file, Printer& printer) {
  for (const auto& [package, messages] : MessagesByNamespace(file)) {
    if (!package.empty()) printer.Print("namespace $ns$ {\n", "ns", package);
    for (const std::string& message : messages) printer.Print("class $name$;\n", "name", message);
    if (!package.empty()) printer.Print("}  // namespace $ns$\n", "ns", package);
    printer.Print("\n");
  }
}

void PrintComments(const std::string& comments, Printer& printer, const std::string& indent) {
  std::size_t begin = 0;
  while (begin < comments.size()) {
    const std::size_t end = std::min(comments.find('\n', begin), comments.size());
    // WriteRaw: a comment may hold the printer's own '$'.
    const std::string line = indent + "//" + comments.substr(begin, end - begin) + "\n";
    printer.WriteRaw(line.data(), static_cast<int>(line.size()));
    begin = end + 1;
  }
}

template <class Entity>
std::string LeadingComments(const Entity& entity) {
  google::protobuf::SourceLocation location;
  return entity.GetSourceLocation(&location) ? location.leading_comments : "";
}

void PrintServiceHeader(const ServiceDescriptor& service, Printer& printer) {
  PrintComments(LeadingComments(service), printer, "");
  printer.Print(
      "class $service$ : public ::multigres::rpc::Service {\n"
      " public:\n"
      "  static constexpr std::string_view kFullName = \"$full_name$\";\n\n"
      "  std::string_view full_name() const final { return kFullName; }\n"
      "  std::span<const ::multigres::rpc::MethodInfo> methods() const final;\n"
      "  ::multigres::Awaitable<::multigres::Result<>> Handle(std::size_t index, ::multigres::rpc::ServerCall& call) "
      "final;\n\n",
      "service", service.name(), "full_name", service.full_name());
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    PrintComments(LeadingComments(method), printer, "  ");
    printer.Print("  virtual $signature$;\n", "signature", ServerSignature(method, ""));
  }
  printer.Print(
      "};\n\n"
      "class $service$Client {\n"
      " public:\n"
      "  // The channel must outlive the client and its calls.\n"
      "  explicit $service$Client(::multigres::rpc::Channel& channel) : channel_(&channel) {}\n\n",
      "service", service.name());
  for (int i = 0; i < service.method_count(); ++i) {
    printer.Print("  $signature$;\n", "signature", ClientSignature(*service.method(i), "", true));
  }
  printer.Print(
      "\n private:\n"
      "  ::multigres::rpc::Channel* channel_;\n"
      "};\n\n");
}

void PrintHandler(const MethodDescriptor& method, Printer& printer) {
  const Variables variables = MethodVariables(method);
  printer.Print(variables,
                "::multigres::Awaitable<::multigres::Result<>> Handle$service$$method$($service$& service, "
                "::multigres::rpc::ServerCall& call) {\n");
  const Shape shape = ShapeOf(method);
  const bool one_request = shape == Shape::kUnary || shape == Shape::kServerStream;
  if (one_request) {
    printer.Print(
        variables,
        "  $request$ request;\n"
        "  ::multigres::Result<bool> read = co_await call.Read(request);\n"
        "  if (!read) co_return std::unexpected(std::move(read.error()));\n"
        "  if (!*read) co_return ::multigres::Fail(::multigres::Code::kInternal, \"call without a request\");\n");
  } else if (shape == Shape::kClientStream) {
    printer.Print(variables, "  ::multigres::rpc::ServerReader<$request$> reader(call);\n");
  }
  switch (shape) {
    case Shape::kUnary:
      printer.Print(variables,
                    "  ::multigres::Result<$response$> response = co_await service.$handler$(call, request);\n");
      break;
    case Shape::kClientStream:
      printer.Print(variables,
                    "  ::multigres::Result<$response$> response = co_await service.$handler$(call, reader);\n");
      break;
    case Shape::kServerStream:
      printer.Print(variables,
                    "  ::multigres::rpc::ServerWriter<$response$> writer(call);\n"
                    "  co_return co_await service.$handler$(call, request, writer);\n");
      break;
    case Shape::kBidi:
      printer.Print(variables,
                    "  ::multigres::rpc::ServerStream<$request$, $response$> stream(call);\n"
                    "  co_return co_await service.$handler$(call, stream);\n");
      break;
  }
  if (shape == Shape::kUnary || shape == Shape::kClientStream) {
    printer.Print(
        "  if (!response) co_return std::unexpected(std::move(response.error()));\n"
        "  co_return co_await call.Write(*response);\n");
  }
  printer.Print("}\n\n");
}

void PrintServerSource(const ServiceDescriptor& service, Printer& printer) {
  printer.Print("namespace {\n\n");
  printer.Print("constexpr std::array<::multigres::rpc::MethodInfo, $count$> k$service$Methods = {{\n", "count",
                std::to_string(service.method_count()), "service", service.name());
  for (int i = 0; i < service.method_count(); ++i) {
    printer.Print(MethodVariables(*service.method(i)), "    {\"$method$\", ::multigres::rpc::CallShape::$shape$},\n");
  }
  printer.Print("}};\n\n");
  for (int i = 0; i < service.method_count(); ++i) PrintHandler(*service.method(i), printer);
  printer.Print("}  // namespace\n\n");

  printer.Print(
      "std::span<const ::multigres::rpc::MethodInfo> $service$::methods() const { return k$service$Methods; }\n\n"
      "::multigres::Awaitable<::multigres::Result<>> $service$::Handle(std::size_t index, "
      "::multigres::rpc::ServerCall& call) {\n"
      "  switch (index) {\n",
      "service", service.name());
  for (int i = 0; i < service.method_count(); ++i) {
    Variables variables = MethodVariables(*service.method(i));
    variables["index"] = std::to_string(i);
    printer.Print(variables,
                  "    case $index$:\n"
                  "      return Handle$service$$method$(*this, call);\n");
  }
  printer.Print(
      "  }\n"
      "  std::abort();  // methods() has no such index\n"
      "}\n\n");
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    printer.Print("$signature$ {\n", "signature", ServerSignature(method, service.name() + "::"));
    printer.Print(MethodVariables(method),
                  "  co_return ::multigres::Fail(::multigres::Code::kUnimplemented, \"method $method$ is not "
                  "implemented\");\n"
                  "}\n\n");
  }
}

void PrintClientSource(const ServiceDescriptor& service, Printer& printer) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    const Variables variables = MethodVariables(method);
    printer.Print("$signature$ {\n", "signature", ClientSignature(method, service.name() + "Client::", false));
    switch (ShapeOf(method)) {
      case Shape::kUnary:
        printer.Print(variables,
                      "  $response$ response;\n"
                      "  ::multigres::Result<> result = co_await ::multigres::rpc::CallUnary(*channel_, \"$path$\", "
                      "request, response,\n"
                      "                                                         std::move(options));\n"
                      "  if (!result) co_return std::unexpected(std::move(result.error()));\n"
                      "  co_return std::move(response);\n");
        break;
      case Shape::kServerStream:
        printer.Print(variables,
                      "  auto call = channel_->StartCall(\"$path$\", std::move(options));\n"
                      "  call->WriteLast(request);\n"
                      "  return ::multigres::rpc::ClientReader<$response$>(std::move(call));\n");
        break;
      case Shape::kClientStream:
        printer.Print(variables,
                      "  return ::multigres::rpc::ClientWriter<$request$, $response$>(\n"
                      "      channel_->StartCall(\"$path$\", std::move(options)));\n");
        break;
      case Shape::kBidi:
        printer.Print(variables,
                      "  return ::multigres::rpc::ClientStream<$request$, $response$>(\n"
                      "      channel_->StartCall(\"$path$\", std::move(options)));\n");
        break;
    }
    printer.Print("}\n\n");
  }
}

void PrintHeader(const FileDescriptor& file, Printer& printer) {
  printer.Print(
      "// Generated by protoc-gen-multigres from $file$.\n"
      "#pragma once\n\n"
      "#include <cstddef>\n"
      "#include <span>\n"
      "#include <string_view>\n\n"
      "#include \"common/rpc/channel.h\"\n"
      "#include \"common/rpc/service.h\"\n\n",
      "file", file.name());
  PrintForwardDeclarations(file, printer);
  printer.Print("namespace $ns$ {\n\n", "ns", RpcNamespace(file));
  for (int i = 0; i < file.service_count(); ++i) PrintServiceHeader(*file.service(i), printer);
  printer.Print("}  // namespace $ns$\n", "ns", RpcNamespace(file));
}

void PrintSource(const FileDescriptor& file, Printer& printer) {
  printer.Print(
      "// Generated by protoc-gen-multigres from $file$.\n"
      "#include \"$base$.rpc.h\"\n\n"
      "#include <array>\n"
      "#include <cstdlib>\n"
      "#include <expected>\n"
      "#include <utility>\n\n"
      "#include \"$base$.pb.h\"\n\n"
      "namespace $ns$ {\n",
      "file", file.name(), "base", BaseName(file), "ns", RpcNamespace(file));
  for (int i = 0; i < file.service_count(); ++i) {
    PrintServerSource(*file.service(i), printer);
    PrintClientSource(*file.service(i), printer);
  }
  printer.Print("}  // namespace $ns$\n", "ns", RpcNamespace(file));
}

}  // namespace

bool Generator::Generate(const FileDescriptor* file, const std::string& /*parameter*/,
                         google::protobuf::compiler::GeneratorContext* context, std::string* error) const {
  if (file->service_count() == 0) {
    *error = file->name() + ": no service in it";
    return false;
  }
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> header(context->Open(BaseName(*file) + ".rpc.h"));
  Printer header_printer(header.get(), '$');
  PrintHeader(*file, header_printer);
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> source(context->Open(BaseName(*file) + ".rpc.cc"));
  Printer source_printer(source.get(), '$');
  PrintSource(*file, source_printer);
  return true;
}

}  // namespace multigres::protocgen
