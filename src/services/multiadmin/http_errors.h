// gRPC statuses in HTTP answers.
#pragma once

#include <string>
#include <string_view>

#include "tools/http/message.h"
#include "tools/result/error.h"

namespace multigres::admin {

// The code that leaves the process: ours beyond gRPC's 16 travel as UNKNOWN.
Code WireCode(Code code);
// As google.rpc.Code's comments and the Connect protocol give it: INVALID_ARGUMENT 400, NOT_FOUND 404, ...
int HttpStatus(Code code);

// `{"code":5,"message":"...","details":[]}`
http::Response RestError(int status, Code code, std::string_view message);
http::Response RestError(const Error& error);
// `{"code":"not_found","message":"..."}`
http::Response ConnectError(int status, Code code, std::string_view message);
http::Response ConnectError(const Error& error);

// "application/json" of "Application/JSON; charset=utf-8".
std::string MediaType(std::string_view content_type);

}  // namespace multigres::admin
