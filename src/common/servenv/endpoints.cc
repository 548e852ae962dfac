#include "common/servenv/endpoints.h"

#include <nlohmann/json.hpp>

#include "common/servenv/build_info.h"
#include "tools/fs/file.h"

namespace multigres::servenv {

namespace {

constexpr std::string_view kStyle = R"(body { font-family: sans-serif; margin: 2em; color: #1a2233; }
h1 { font-size: 1.4em; }
h2 { font-size: 1.1em; margin-top: 1.5em; }
table { border-collapse: collapse; }
th, td { border: 1px solid #ccd3dd; padding: 0.3em 0.8em; text-align: left; }
th { background: #eef2f7; font-weight: 600; }
a { color: #0b5cad; }
)";

std::string_view SourceName(FlagSource source) {
  switch (source) {
    case FlagSource::kDefault:
      return "default";
    case FlagSource::kFile:
      return "file";
    case FlagSource::kEnvironment:
      return "environment";
    case FlagSource::kFlag:
      return "flag";
  }
  return "";
}

Awaitable<http::Response> Ready(std::function<Awaitable<Result<>>()> check) {
  auto ready = co_await check();
  co_return ready ? http::TextResponse(200, "ok") : http::TextResponse(503, "not ok");
}

http::Response Config(const FlagSet& flags, const std::string& title, const http::Request& request) {
  if (request.Query("format") == "json") return http::JsonResponse(200, ConfigJson(flags));
  return http::HtmlResponse(200, ConfigHtml(flags, title));
}

http::Response Style() {
  http::Response response{.body = std::string(kStyle)};
  response.headers.Set("Content-Type", "text/css; charset=utf-8");
  return response;
}

http::Response Exposition(const Metrics& metrics) {
  http::Response response{.body = metrics.Expose()};
  response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

// The arguments with NUL between them, as Go's handler gives them. Values may hold secrets: only names of flags.
http::Response CommandLine() {
  auto text = fs::ReadFile("/proc/self/cmdline");
  if (!text) return http::TextResponse(500, text.error().message() + "\n");
  std::string shown;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view argument = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(argument.size() + 1, rest.size()));
    if (shown.empty() || argument.starts_with("--")) {
      shown.append(shown.empty() ? "" : std::string(1, '\0')).append(argument.substr(0, argument.find('=')));
    }
  }
  return http::TextResponse(200, shown);
}

void RegisterPprof(http::Router& router) {
  router.HandleSync("GET", "/debug/pprof/", [](const http::Request& request) {
    const bool known = request.path == "/debug/pprof/" || request.path == "/debug/pprof";
    return http::TextResponse(known ? 200 : 404,
                              known ? "cmdline\nprofile, symbol, trace: not built in; use perf\n" : "Not Found\n");
  });
  router.HandleSync("GET", "/debug/pprof/cmdline", [](const http::Request&) { return CommandLine(); });
  for (const char* mode : {"profile", "symbol", "trace"}) {
    router.HandleSync("GET", std::string("/debug/pprof/") + mode, [](const http::Request&) {
      return http::TextResponse(501, "profiling modes are not built in; use perf\n");
    });
  }
}

}  // namespace

std::string ConfigJson(const FlagSet& flags) {
  nlohmann::ordered_json root;
  root["command_line_flags"] = nlohmann::ordered_json::object();
  root["config"] = nlohmann::ordered_json::object();
  for (const FlagSet::Entry& entry : flags.Entries()) {
    if (entry.source == FlagSource::kFlag) root["command_line_flags"][entry.name] = entry.value;
    root["config"][entry.name] = nlohmann::ordered_json::parse(entry.json, nullptr, false);
  }
  return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string ConfigHtml(const FlagSet& flags, std::string_view title) {
  std::string out = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Configuration</title>";
  out.append("<link rel=\"stylesheet\" href=\"css/status.css\"></head>\n<body><h1>")
      .append(http::EscapeHtml(title))
      .append(" configuration</h1>\n<table>\n<tr><th>Flag</th><th>Value</th><th>From</th></tr>\n");
  for (const FlagSet::Entry& entry : flags.Entries()) {
    out.append("<tr><th>").append(http::EscapeHtml(entry.name)).append("</th><td>");
    out.append(http::EscapeHtml(entry.value)).append("</td><td>").append(SourceName(entry.source));
    out.append("</td></tr>\n");
  }
  return out.append("</table></body></html>\n");
}

void RegisterEndpoints(http::Router& router, EndpointSources sources) {
  const std::string title = sources.info.title;
  router.HandleSync("GET", "/live", [](const http::Request&) { return http::HtmlResponse(200, "ok"); });
  router.Handle("GET", "/ready",
                [check = std::move(sources.check_ready)](const http::Request&) { return Ready(check); });
  router.HandleSync("GET", "/config", [&flags = sources.flags, title](const http::Request& request) {
    return Config(flags, title, request);
  });
  router.HandleSync("GET", "/version", [name = sources.info.name](const http::Request&) {
    return http::JsonResponse(200, BuildInfoJson(name));
  });
  router.HandleSync("GET", "/metrics",
                    [&metrics = sources.metrics](const http::Request&) { return Exposition(metrics); });
  router.HandleSync("GET", "/css/status.css", [](const http::Request&) { return Style(); });
  router.HandleSync("GET", "/css/", [](const http::Request&) { return http::TextResponse(404, "Not Found\n"); });
  router.HandleSync("GET", "/favicon.ico", [](const http::Request&) { return http::TextResponse(404, "Not Found\n"); });
  if (sources.pprof_http) RegisterPprof(router);
  const auto page = [&status = sources.status_page](const http::Request&) {
    return http::HtmlResponse(200, status.Render());
  };
  const bool catches_all = sources.info.status_page_catches_all;
  router.HandleSync("GET", "/", [page, catches_all](const http::Request& request) {
    return catches_all || request.path == "/" ? page(request) : http::TextResponse(404, "Not Found\n");
  });
}

}  // namespace multigres::servenv
