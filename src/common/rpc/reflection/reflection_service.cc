#include "common/rpc/reflection/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>

#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace multigres::rpc::reflection {

namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::grpc::reflection::v1alpha::ServerReflectionRequest;
using ::grpc::reflection::v1alpha::ServerReflectionResponse;

void SetError(Code code, std::string message, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(static_cast<int>(code));
  response.mutable_error_response()->set_error_message(std::move(message));
}

// The file and all that it imports, so that one answer is enough to understand it.
void AddFile(const FileDescriptor& file, std::set<const FileDescriptor*>& seen, ServerReflectionResponse& response) {
  if (!seen.insert(&file).second) return;
  ::google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), seen, response);
}

void AnswerFile(const FileDescriptor* file, const std::string& what, ServerReflectionResponse& response) {
  if (file == nullptr) return SetError(Code::kNotFound, what + " not found", response);
  std::set<const FileDescriptor*> seen;
  AddFile(*file, seen, response);
}

void AnswerExtensionNumbers(const DescriptorPool& pool, const std::string& name, ServerReflectionResponse& response) {
  const Descriptor* type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return SetError(Code::kNotFound, "type " + name + " not found", response);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(name);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  for (const FieldDescriptor* extension : extensions) answer.add_extension_number(extension->number());
}

void AnswerExtension(const DescriptorPool& pool, const ::grpc::reflection::v1alpha::ExtensionRequest& request,
                     ServerReflectionResponse& response) {
  const Descriptor* type = pool.FindMessageTypeByName(request.containing_type());
  const FieldDescriptor* extension =
      type == nullptr ? nullptr : pool.FindExtensionByNumber(type, request.extension_number());
  AnswerFile(extension == nullptr ? nullptr : extension->file(), "extension", response);
}

ServerReflectionResponse Answer(const Server& server, const ServerReflectionRequest& request) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const Service* service : server.services()) {
        response.mutable_list_services_response()->add_service()->set_name(std::string(service->full_name()));
      }
      break;
    case ServerReflectionRequest::kFileByFilename:
      AnswerFile(pool.FindFileByName(request.file_by_filename()), "file " + request.file_by_filename(), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()),
                 "symbol " + request.file_containing_symbol(), response);
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      AnswerExtension(pool, request.file_containing_extension(), response);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers(pool, request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      SetError(Code::kInvalidArgument, "empty request", response);
      break;
  }
  return response;
}

}  // namespace

Awaitable<Result<>> ReflectionService::ServerReflectionInfo(
    ServerContext&, ServerStream<ServerReflectionRequest, ServerReflectionResponse>& stream) {
  while (true) {
    ServerReflectionRequest request;
    auto read = co_await stream.Read(request);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (!*read) co_return Result<>{};
    auto written = co_await stream.Write(Answer(server_, request));
    if (!written) co_return written;
  }
}

}  // namespace multigres::rpc::reflection
