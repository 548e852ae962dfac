#include "services/multiadmin/connect.h"

#include <google/protobuf/message.h>

#include <charconv>

#include "common/protojson/protojson.h"
#include "common/rpc/timeout_codec.h"
#include "services/multiadmin/http_errors.h"

namespace multigres::admin {

using google::protobuf::Message;

namespace {

struct Format {
  bool grpc_web = false;
  bool json = false;
};

std::optional<Format> FormatOf(std::string_view media_type) {
  if (media_type == "application/json") return Format{.grpc_web = false, .json = true};
  if (media_type == "application/proto") return Format{.grpc_web = false, .json = false};
  if (media_type == "application/grpc-web+json") return Format{.grpc_web = true, .json = true};
  if (media_type == "application/grpc-web" || media_type == "application/grpc-web+proto")
    return Format{.grpc_web = true};
  return std::nullopt;
}

// gRPC's frame: a byte of flags and a length of four bytes, the most significant first.
constexpr std::size_t kFrameHeaderBytes = 5;
constexpr char kDataFrame = 0;
constexpr char kTrailersFrame = static_cast<char>(0x80);

std::string Frame(char flags, std::string_view payload) {
  std::string frame(1, flags);
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>((payload.size() >> shift) & 0xff));
  return frame.append(payload);
}

Result<std::string_view> Unframe(std::string_view body) {
  if (body.size() < kFrameHeaderBytes) return Fail(Code::kInvalidArgument, "incomplete message frame");
  if (body[0] != kDataFrame) return Fail(Code::kUnimplemented, "compressed messages are not supported");
  std::size_t length = 0;
  for (std::size_t i = 1; i < kFrameHeaderBytes; ++i) length = length << 8 | static_cast<unsigned char>(body[i]);
  body.remove_prefix(kFrameHeaderBytes);
  if (body.size() != length) return Fail(Code::kInvalidArgument, "the call must have exactly one message");
  return body;
}

Result<std::unique_ptr<Message>> ReadMessage(const ServiceApi::Method& method, Format format, std::string_view body) {
  if (format.grpc_web) {
    auto payload = Unframe(body);
    if (!payload) return std::unexpected(std::move(payload.error()));
    body = *payload;
  }
  auto message = ServiceApi::NewMessage(method.input);
  if (format.json) {
    auto read = protojson::FromJson(body, *message);
    if (!read) return std::unexpected(std::move(read.error()));
  } else if (!message->ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Fail(Code::kInvalidArgument, "undecodable message");
  }
  return message;
}

// The headers that bear on the call; `caller` gets its deadline.
Result<> ReadHeaders(const http::Headers& headers, Format format, Clock& clock, ServiceApi::Caller& caller) {
  const std::string_view encoding = headers.Get("Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    return Fail(Code::kUnimplemented, fmt::format("content encoding '{}' is not supported", encoding));
  }
  const std::string_view version = headers.Get("Connect-Protocol-Version");
  if (!version.empty() && version != "1") {
    return Fail(Code::kInvalidArgument, fmt::format("Connect-Protocol-Version must be 1, not '{}'", version));
  }
  const std::string_view timeout = headers.Get(format.grpc_web ? "grpc-timeout" : "Connect-Timeout-Ms");
  if (timeout.empty()) return {};
  std::optional<Duration> limit;
  if (format.grpc_web) {
    limit = rpc::DecodeTimeout(timeout);
  } else {
    std::uint64_t ms = 0;  // at most ten digits
    const auto [end, error] = std::from_chars(timeout.data(), timeout.data() + timeout.size(), ms);
    const bool good = error == std::errc() && end == timeout.data() + timeout.size() && timeout.size() <= 10;
    if (good) limit = std::chrono::milliseconds(ms);
  }
  if (!limit) return Fail(Code::kInvalidArgument, fmt::format("bad timeout '{}'", timeout));
  caller.deadline = clock.After(*limit);
  return {};
}

http::Response Answer(Format format, std::string body) {
  http::Response response{.status = 200, .headers = {}, .body = std::move(body)};
  std::string type = format.grpc_web ? "application/grpc-web+" : "application/";
  response.headers.Set("Content-Type", type.append(format.json ? "json" : "proto"));
  return response;
}

std::string Trailers(Code code, std::string_view message) {
  std::string text = fmt::format("grpc-status: {}\r\n", static_cast<int>(WireCode(code)));
  if (!message.empty()) text.append("grpc-message: ").append(http::EncodePercent(message)).append("\r\n");
  return Frame(kTrailersFrame, text);
}

http::Response AnswerError(Format format, const Error& error) {
  return format.grpc_web ? Answer(format, Trailers(error.code(), error.message())) : ConnectError(error);
}

Awaitable<http::Response> AnswerCall(const ServiceApi& api, const http::Request& request) {
  const auto* method = api.Find(request.Param("rpc"));
  if (method == nullptr) {
    co_return ConnectError(404, Code::kUnimplemented,
                           fmt::format("unknown method {}/{}", api.service_name(), request.Param("rpc")));
  }
  if (request.method != "POST") {
    http::Response response = ConnectError(405, Code::kUnimplemented, "method not allowed");
    response.headers.Set("Allow", "POST");
    co_return response;
  }
  const auto format = FormatOf(MediaType(request.headers.Get("Content-Type")));
  if (!format) {
    http::Response response =
        ConnectError(415, Code::kInvalidArgument, "the content type must be JSON or protobuf, of Connect or gRPC-Web");
    response.headers.Set("Accept-Post",
                         "application/json, application/proto, application/grpc-web+json, application/grpc-web+proto");
    co_return response;
  }
  ServiceApi::Caller caller;
  caller.peer = request.peer;
  auto headers = ReadHeaders(request.headers, *format, api.reactor().clock(), caller);
  if (!headers) co_return AnswerError(*format, headers.error());
  auto message = ReadMessage(*method, *format, request.body);
  if (!message) co_return AnswerError(*format, message.error());
  auto response = co_await api.Call(*method, std::move(*message), std::move(caller));
  if (!response) co_return AnswerError(*format, response.error());
  Result<std::string> body = format->json ? protojson::ToJson(**response) : (*response)->SerializeAsString();
  if (!body) co_return AnswerError(*format, body.error());
  if (!format->grpc_web) co_return Answer(*format, std::move(*body));
  co_return Answer(*format, Frame(kDataFrame, *body) + Trailers(Code::kOk, ""));
}

}  // namespace

void RegisterConnect(http::Router& router, const ServiceApi& api) {
  router.Handle("*", fmt::format("/{}/{{rpc}}", api.service_name()),
                [&api](const http::Request& request) { return AnswerCall(api, request); });
}

}  // namespace multigres::admin
