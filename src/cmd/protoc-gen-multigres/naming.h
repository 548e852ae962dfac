// How protobuf's names become C++ ones, as protoc's own C++ generator has it.
#pragma once

#include <map>
#include <set>
#include <string>

namespace google::protobuf {
class Descriptor;
class FileDescriptor;
class MethodDescriptor;
}  // namespace google::protobuf

namespace multigres::protocgen {

enum class Shape { kUnary, kServerStream, kClientStream, kBidi };

Shape ShapeOf(const google::protobuf::MethodDescriptor& method);
// The enumerator of multigres::rpc::CallShape.
std::string ShapeName(Shape shape);
// "etcd/etcdserver.proto" -> "etcd/etcdserver".
std::string BaseName(const google::protobuf::FileDescriptor& file);
// "grpc.health.v1" -> "grpc::health::v1::rpc".
std::string RpcNamespace(const google::protobuf::FileDescriptor& file);
// "::query::Target"; nested messages are "Outer_Inner".
std::string CppName(const google::protobuf::Descriptor& message);
// The skeleton's function: the method's name, with an underscore if the class is called so itself (etcd's Watch.Watch).
std::string HandlerName(const google::protobuf::MethodDescriptor& method);
// The request and response classes of the file's services, by C++ namespace.
std::map<std::string, std::set<std::string>> MessagesByNamespace(const google::protobuf::FileDescriptor& file);

}  // namespace multigres::protocgen
