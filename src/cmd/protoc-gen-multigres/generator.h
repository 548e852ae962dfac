// Generates the C++ of a file's services.
#pragma once

#include <google/protobuf/compiler/code_generator.h>

#include <string>

namespace multigres::protocgen {

// For `service Foo` of package `p`: class p::rpc::Foo, the skeleton that a server derives from (one virtual function a
// method, UNIMPLEMENTED unless overridden), and class p::rpc::FooClient. Messages are forward declared only: whoever
// calls or implements a method includes the .pb.h.
class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context, std::string* error) const override;
  std::uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace multigres::protocgen
