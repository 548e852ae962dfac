#include "services/multiadmin/http_errors.h"

#include <nlohmann/json.hpp>

namespace multigres::admin {

namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return lower;
}

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

Code WireCode(Code code) {
  return static_cast<int>(code) > static_cast<int>(Code::kUnauthenticated) ? Code::kUnknown : code;
}

int HttpStatus(Code code) {
  switch (WireCode(code)) {
    case Code::kOk:
      return 200;
    case Code::kCanceled:
      return 499;
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return 400;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kPermissionDenied:
      return 403;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnimplemented:
      return 501;
    case Code::kUnavailable:
      return 503;
    case Code::kUnauthenticated:
      return 401;
    default:
      return 500;
  }
}

http::Response RestError(int status, Code code, std::string_view message) {
  nlohmann::ordered_json body;
  body["code"] = static_cast<int>(WireCode(code));
  body["message"] = message;
  body["details"] = nlohmann::ordered_json::array();
  return http::JsonResponse(status, Dump(body));
}

http::Response RestError(const Error& error) {
  return RestError(HttpStatus(error.code()), error.code(), error.message());
}

http::Response ConnectError(int status, Code code, std::string_view message) {
  nlohmann::ordered_json body;
  body["code"] = Lower(CodeName(WireCode(code)));
  body["message"] = message;
  return http::JsonResponse(status, Dump(body));
}

http::Response ConnectError(const Error& error) {
  return ConnectError(HttpStatus(error.code()), error.code(), error.message());
}

std::string MediaType(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t')) {
    content_type.remove_suffix(1);
  }
  return Lower(content_type);
}

}  // namespace multigres::admin
