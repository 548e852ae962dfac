#include "services/multiadmin/rest.h"

#include <google/protobuf/message.h>

#include <map>

#include "common/protojson/protojson.h"
#include "services/multiadmin/http_errors.h"
#include "services/multiadmin/request_fields.h"
#include "services/multiadmin/rest_routes.h"
#include "tools/result/check.h"

namespace multigres::admin {

using google::protobuf::Message;

namespace {

struct Target {
  std::string_view http_method;
  const ServiceApi::Method* method;
};

// What the routes of one path pattern do.
using Targets = std::vector<Target>;

const Target* FindTarget(const Targets& targets, std::string_view http_method) {
  for (const Target& target : targets) {
    if (target.http_method == http_method || (target.http_method == "GET" && http_method == "HEAD")) return &target;
  }
  return nullptr;
}

http::Response MethodNotAllowed(const Targets& targets) {
  std::string allow;
  for (const Target& target : targets) {
    allow.append(allow.empty() ? "" : ", ").append(target.http_method);
    if (target.http_method == "GET") allow.append(", HEAD");
  }
  http::Response response = RestError(405, Code::kUnimplemented, "method not allowed");
  response.headers.Set("Allow", std::move(allow));
  return response;
}

Result<> Fill(Message& message, bool has_body, const http::Request& request) {
  if (has_body) {
    auto body = protojson::FromJson(request.body, message);
    if (!body) return body;
  }
  std::vector<std::string> taken;
  for (const auto& [path, value] : request.params) {
    SetPathField(message, path, value);
    taken.push_back(path.substr(0, path.find('.')));
  }
  if (has_body && !request.query.empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("unknown query field '{}'", request.query.front().first));
  }
  return SetQueryFields(message, request.query, taken);
}

Awaitable<http::Response> Answer(const ServiceApi& api, const Targets& targets, const http::Request& request) {
  const Target* target = FindTarget(targets, request.method);
  if (target == nullptr) co_return MethodNotAllowed(targets);
  const bool has_body = target->http_method == "POST";
  if (has_body && MediaType(request.headers.Get("Content-Type")) != "application/json") {
    co_return RestError(415, Code::kInvalidArgument, "the body must be application/json");
  }
  auto message = ServiceApi::NewMessage(target->method->input);
  if (auto filled = Fill(*message, has_body, request); !filled) co_return RestError(filled.error());
  ServiceApi::Caller caller;
  caller.peer = request.peer;
  auto response = co_await api.Call(*target->method, std::move(message), std::move(caller));
  if (!response) co_return RestError(response.error());
  auto json = protojson::ToJson(**response);
  if (!json) co_return RestError(json.error());
  co_return http::JsonResponse(200, std::move(*json));
}

}  // namespace

void RegisterRest(http::Router& router, const ServiceApi& api) {
  std::map<std::string_view, Targets> by_pattern;
  for (const RestRoute& route : kRestRoutes) {
    const auto* method = api.Find(route.rpc);
    CHECK(method != nullptr, "every route has its method");
    by_pattern[route.pattern].push_back({route.method, method});
  }
  for (auto& [pattern, targets] : by_pattern) {
    auto shared = std::make_shared<const Targets>(std::move(targets));
    router.Handle("*", std::string(pattern),
                  [&api, shared](const http::Request& request) { return Answer(api, *shared, request); });
  }
  router.HandleSync("*", "/api/", [](const http::Request& request) {
    return RestError(404, Code::kNotFound, fmt::format("no such route: {}", request.path));
  });
}

}  // namespace multigres::admin
