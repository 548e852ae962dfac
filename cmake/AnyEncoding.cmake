# cmake -DBASE=<path of generated code, no suffix> -P AnyEncoding.cmake
#
# Takes the UTF-8 checks out of the C++ that protoc wrote (3.21; there is no option for it). The texts of these messages
# are in the client's encoding, as PostgreSQL sends and expects them: a LATIN1 client's statement is no less valid.
foreach(suffix .pb.h .pb.cc)
  file(READ ${BASE}${suffix} text)
  set(check "::PROTOBUF_NAMESPACE_ID::internal::WireFormatLite::VerifyUtf8String\\([^;]*;")
  string(REGEX REPLACE "return ${check}" "return true;" text "${text}")
  string(REGEX REPLACE "${check}" "" text "${text}")
  string(REGEX REPLACE "CHK_\\(::_pbi::VerifyUTF8\\([^;]*;" "" text "${text}")
  if(text MATCHES "VerifyU[tT][fF]8")
    message(FATAL_ERROR "${BASE}${suffix}: UTF-8 checks of a form that this script doesn't know")
  endif()
  file(WRITE ${BASE}${suffix} "${text}")
endforeach()
