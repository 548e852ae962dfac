// Protoc plugin: `protoc --multigres_out=DIR x.proto` writes x.rpc.h and x.rpc.cc, the server skeletons and clients of
// the file's services on the runtime in src/common/rpc.
#include <google/protobuf/compiler/plugin.h>

#include "cmd/protoc-gen-multigres/generator.h"

int main(int argc, char** argv) {
  multigres::protocgen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
