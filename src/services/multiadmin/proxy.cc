#include "services/multiadmin/proxy.h"

#include <array>

#include "services/multiadmin/discovery.h"
#include "services/multiadmin/html_rewrite.h"
#include "services/multiadmin/http_errors.h"
#include "tools/http/client.h"

namespace multigres::admin {

using http::EncodePercent;

namespace {

constexpr std::string_view kRoot = "/proxy/";
constexpr std::string_view kAdmin = "admin";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return lower;
}

// Of one connection only (RFC 9110, 7.6.1), or set anew by whoever sends the message on.
bool IsHopByHop(std::string_view name, std::string_view connection) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
       "transfer-encoding", "upgrade", "expect", "content-length", "date"});
  const std::string lower = Lower(name);
  if (std::ranges::find(kNames, lower) != kNames.end()) return true;
  while (!connection.empty()) {
    std::string_view option = connection.substr(0, connection.find(','));
    connection.remove_prefix(std::min(option.size() + 1, connection.size()));
    while (option.starts_with(' ')) option.remove_prefix(1);
    while (option.ends_with(' ')) option.remove_suffix(1);
    if (Lower(option) == lower) return true;
  }
  return false;
}

std::string_view PeerHost(std::string_view peer) {
  return peer.substr(0, peer.rfind(':'));
}

http::ClientRequest Forward(const http::Request& request, const ProxyPath& path) {
  http::ClientRequest forward;
  forward.method = request.method;
  forward.target = path.rest;
  forward.body = request.body;
  const std::string_view connection = request.headers.Get("Connection");
  for (const auto& [name, value] : request.headers.entries()) {
    if (!IsHopByHop(name, connection)) forward.headers.Add(name, value);
  }
  auto& headers = forward.headers;
  std::string forwarded_for(headers.Get("X-Forwarded-For"));
  if (!forwarded_for.empty()) forwarded_for.append(", ");
  headers.Set("X-Forwarded-For", forwarded_for.append(PeerHost(request.peer)));
  headers.Set("X-Forwarded-Host", std::string(request.headers.Get("Host")));
  headers.Set("X-Forwarded-Proto", "http");
  headers.Set("X-Forwarded-Prefix", path.prefix);
  headers.Remove("Host");  // the target's own
  // Our server has judged it already; the target would take it for another site's.
  headers.Remove("Origin");
  headers.Remove("Accept-Encoding");  // pages must be readable, to be rewritten
  return forward;
}

// A redirect within the target leads below the prefix too.
std::string RewriteLocation(std::string_view location, const TcpAddress& target, std::string_view prefix) {
  const std::string own = "http://" + ToString(target);
  std::string_view rest = location;
  if (rest.starts_with(own) && (rest.size() == own.size() || rest[own.size()] == '/')) rest.remove_prefix(own.size());
  const bool within = rest.size() != location.size() || (rest.starts_with('/') && !rest.starts_with("//"));
  return within ? std::string(prefix).append(rest) : std::string(location);
}

http::Response Return(http::Response answer, const TcpAddress& target, const ProxyPath& path) {
  http::Response response;
  response.status = answer.status;
  const std::string_view connection = answer.headers.Get("Connection");
  for (const auto& [name, value] : answer.headers.entries()) {
    if (!IsHopByHop(name, connection)) response.headers.Add(name, value);
  }
  if (answer.headers.Has("Location")) {
    response.headers.Set("Location", RewriteLocation(answer.headers.Get("Location"), target, path.prefix));
  }
  const bool page = MediaType(answer.headers.Get("Content-Type")) == "text/html" && !answer.body.empty() &&
                    !answer.headers.Has("Content-Encoding");
  response.body = page ? RewriteHtml(answer.body, path.prefix) : std::move(answer.body);
  return response;
}

http::Response ErrorAnswer(int status, std::string_view message) {
  return http::TextResponse(status, std::string(message) + "\n");
}

}  // namespace

Result<ProxyPath> ProxyPath::Parse(std::string_view target) {
  if (const auto scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
    target.remove_prefix(std::min(target.find('/', scheme + 3), target.size()));
  }
  target = target.substr(0, target.find('#'));
  const std::string_view whole_path = target.substr(0, target.find('?'));
  std::string_view left = whole_path.substr(std::min(kRoot.size(), whole_path.size()));
  const auto take = [&left]() -> std::string {
    const std::string_view part = left.substr(0, left.find('/'));
    left.remove_prefix(part.size());
    std::string decoded;
    static_cast<void>(http::DecodePercent(part, false, decoded));  // the server has refused malformed ones
    return decoded;
  };
  const auto slash = [&left] {
    if (!left.starts_with('/')) return false;
    left.remove_prefix(1);
    return true;
  };
  ProxyPath path;
  path.kind = take();
  bool complete = !path.kind.empty() && slash();
  path.cell = take();
  complete = complete && !path.cell.empty();
  path.prefix = fmt::format("/proxy/{}/{}", EncodePercent(path.kind), EncodePercent(path.cell));
  if (path.kind == kAdmin) {
    complete = complete && left.starts_with('/');
  } else {
    complete = complete && slash();
    path.name = take();
    complete = complete && !path.name.empty();
    path.prefix.append("/").append(EncodePercent(path.name));
  }
  if (!complete) {
    return Fail(Code::kInvalidArgument,
                "the path must be /proxy/{gate|pool|orch}/<cell>/<name>/... or /proxy/admin/<cell>/...");
  }
  path.rest = left.empty() ? "/" : std::string(left);
  path.rest.append(target.substr(whole_path.size()));
  return path;
}

Proxy::Proxy(topo::Store& store, Logger logger) : store_(store), logger_(std::move(logger)) {}

Awaitable<Result<TcpAddress>> Proxy::FindTarget(ProxyPath path, Deadline deadline) const {
  if (path.kind == kAdmin) {
    // One round through ourselves at most.
    std::string decoded;
    static_cast<void>(http::DecodePercent(path.rest.substr(0, path.rest.find('?')), false, decoded));
    if (decoded.starts_with("/proxy/admin/")) {
      co_return Fail(Code::kInvalidArgument, "multiadmin is not proxied through itself twice");
    }
    co_return self_;
  }
  const auto kind = ParseServiceKind(path.kind);
  if (!kind) co_return Fail(Code::kNotFound, fmt::format("unknown kind of service '{}'", path.kind));
  auto service = co_await FindService(store_, deadline, *kind, path.cell, path.name);
  if (!service) co_return std::unexpected(std::move(service.error()));
  if (!service->http) {
    co_return Fail(Code::kNotFound, fmt::format("{} '{}' in cell '{}' is registered without an HTTP port", Title(*kind),
                                                path.name, path.cell));
  }
  co_return *service->http;
}

Awaitable<http::Response> Proxy::Answer(const http::Request& request) const {
  auto path = ProxyPath::Parse(request.target);
  if (!path) co_return ErrorAnswer(400, path.error().message());
  const Deadline deadline = store_.clock().After(kTimeout);
  auto target = co_await FindTarget(*path, deadline);
  if (!target) co_return ErrorAnswer(HttpStatus(target.error().code()), target.error().message());
  auto answer = co_await http::Fetch(store_.reactor(), *target, Forward(request, *path), deadline);
  if (answer) co_return Return(std::move(*answer), *target, *path);
  logger_.Warn("proxied request failed",
               {{"kind", path->kind}, {"cell", path->cell}, {"name", path->name}, {"error", answer.error()}});
  const int status = answer.error().code() == Code::kDeadlineExceeded ? 504 : 502;
  co_return ErrorAnswer(status, answer.error().message());
}

}  // namespace multigres::admin
