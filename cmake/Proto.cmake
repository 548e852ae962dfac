# One static library per .proto file, proto_<name>, generated into the build tree: messages always, and the service's
# skeleton and client (<name>.rpc.h/.cc, made by protoc-gen-multigres) where the file declares one.

set(PROTO_OUT ${CMAKE_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${PROTO_OUT})

# multigres_proto(<path below the root, no suffix> [ROOT <folder>] [SERVICE] [ANY_ENCODING] [DEPS <name>...])
# ANY_ENCODING: the strings needn't be UTF-8 (see AnyEncoding.cmake).
function(multigres_proto path)
  cmake_parse_arguments(ARG "SERVICE;ANY_ENCODING" "ROOT" "DEPS" ${ARGN})
  if(NOT ARG_ROOT)
    set(ARG_ROOT ${CMAKE_SOURCE_DIR}/proto)
  endif()
  get_filename_component(name ${path} NAME)
  set(outputs ${PROTO_OUT}/${path}.pb.cc ${PROTO_OUT}/${path}.pb.h)
  set(any_encoding "")
  if(ARG_ANY_ENCODING)
    set(any_encoding COMMAND ${CMAKE_COMMAND} -DBASE=${PROTO_OUT}/${path} -P ${CMAKE_SOURCE_DIR}/cmake/AnyEncoding.cmake)
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR}/proto -I ${ARG_ROOT} --cpp_out=${PROTO_OUT} ${ARG_ROOT}/${path}.proto
    ${any_encoding}
    DEPENDS ${ARG_ROOT}/${path}.proto ${CMAKE_SOURCE_DIR}/cmake/AnyEncoding.cmake
    VERBATIM)
  add_library(proto_${name} STATIC ${PROTO_OUT}/${path}.pb.cc ${PROTO_OUT}/${path}.pb.h)
  target_include_directories(proto_${name} SYSTEM PUBLIC ${PROTO_OUT})
  target_link_libraries(proto_${name} PUBLIC dep_protobuf)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(proto_${name} PUBLIC proto_${dep})
  endforeach()
  if(ARG_SERVICE)
    set(rpc_outputs ${PROTO_OUT}/${path}.rpc.cc ${PROTO_OUT}/${path}.rpc.h)
    add_custom_command(
      OUTPUT ${rpc_outputs}
      COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR}/proto -I ${ARG_ROOT}
              --plugin=protoc-gen-multigres=$<TARGET_FILE:protoc-gen-multigres> --multigres_out=${PROTO_OUT}
              ${ARG_ROOT}/${path}.proto
      DEPENDS ${ARG_ROOT}/${path}.proto protoc-gen-multigres
      VERBATIM)
    add_library(rpc_${name} STATIC ${rpc_outputs})
    target_link_libraries(rpc_${name} PUBLIC proto_${name} multigres_common_rpc)
    target_precompile_headers(rpc_${name} REUSE_FROM multigres_pch)
    # A module that names the service's proto gets its client and skeleton too.
    add_library(proto_${name}_rpc ALIAS rpc_${name})
  endif()
endfunction()
