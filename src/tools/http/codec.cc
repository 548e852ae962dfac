#include "tools/http/codec.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <ctime>

namespace multigres::http {

namespace beast = boost::beast::http;

namespace {

std::string_view View(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

template <class Fields>
Headers ToHeaders(const Fields& fields) {
  Headers headers;
  for (const auto& field : fields) {
    headers.Add(std::string(View(field.name_string())), std::string(View(field.value())));
  }
  return headers;
}

// Splits "a=1&b=2". False if an escape is malformed.
bool ParseQuery(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    if (item.empty()) continue;
    const auto equals = item.find('=');
    std::string name;
    std::string value;
    if (!DecodePercent(item.substr(0, equals), true, name)) return false;
    if (equals != std::string_view::npos && !DecodePercent(item.substr(equals + 1), true, value)) return false;
    out.emplace_back(std::move(name), std::move(value));
  }
  return true;
}

// Fills path and query from the target: origin form, or absolute form as a proxy sends it.
bool ParseTarget(Request& request) {
  std::string_view target = request.target;
  if (const auto scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
    const auto slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target == "*") target = "/";
  if (!target.starts_with('/')) return false;
  target = target.substr(0, target.find('#'));
  const auto question = target.find('?');
  if (!DecodePercent(target.substr(0, question), false, request.path)) return false;
  return question == std::string_view::npos || ParseQuery(target.substr(question + 1), request.query);
}

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text;
  const std::size_t length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text.data(), length);
}

void AppendHeaders(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers.entries()) {
    // A line break in a value would end the header: nothing of ours has one.
    if (value.find_first_of("\r\n") != std::string::npos || name.find_first_of("\r\n:") != std::string::npos) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
}

}  // namespace

struct RequestReader::Parser {
  beast::request_parser<beast::string_body> parser;
};

RequestReader::RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes)
    : max_header_bytes_(max_header_bytes), max_body_bytes_(max_body_bytes) {
  Reset();
}

RequestReader::~RequestReader() = default;

void RequestReader::Reset() {
  parser_ = std::make_unique<Parser>();
  parser_->parser.eager(true);
  parser_->parser.header_limit(static_cast<std::uint32_t>(max_header_bytes_));
  parser_->parser.body_limit(max_body_bytes_);
  started_ = false;
  continue_sent_ = false;
}

RequestReader::State RequestReader::Fail(int status) {
  bad_status_ = status;
  return State::kBad;
}

RequestReader::State RequestReader::Parse() {
  auto& parser = parser_->parser;
  while (!parser.is_done()) {
    if (buffer_.empty()) return State::kNeedMore;
    started_ = true;
    boost::system::error_code error;
    const std::size_t consumed = parser.put(boost::asio::buffer(buffer_), error);
    buffer_.erase(0, consumed);
    if (error == beast::error::need_more) return State::kNeedMore;
    if (error == beast::error::header_limit) return Fail(431);
    if (error == beast::error::body_limit) return Fail(413);
    if (error) return Fail(400);
    if (consumed == 0 && !parser.is_done()) return State::kNeedMore;
  }
  return State::kDone;
}

bool RequestReader::HeaderDone() const {
  return parser_->parser.is_header_done();
}

bool RequestReader::TakeExpectContinue() {
  auto& parser = parser_->parser;
  if (continue_sent_ || !parser.is_header_done() || parser.is_done()) return false;
  const auto expect = parser.get().find(beast::field::expect);
  if (expect == parser.get().end() || !boost::beast::iequals(expect->value(), "100-continue")) return false;
  continue_sent_ = true;
  return true;
}

Request RequestReader::Take() {
  auto message = parser_->parser.release();
  keep_alive_ = message.keep_alive();
  Request request;
  request.method = std::string(View(message.method_string()));
  request.target = std::string(View(message.target()));
  request.headers = ToHeaders(message);
  request.body = std::move(message.body());
  if (!ParseTarget(request)) request.path.clear();  // the server answers 400
  Reset();
  return request;
}

struct ResponseReader::Parser {
  beast::response_parser<beast::string_body> parser;
};

ResponseReader::ResponseReader(bool to_head, std::size_t max_body_bytes) : parser_(std::make_unique<Parser>()) {
  parser_->parser.eager(true);
  parser_->parser.skip(to_head);
  parser_->parser.header_limit(64 * 1024);
  parser_->parser.body_limit(max_body_bytes);
}

ResponseReader::~ResponseReader() = default;

Result<bool> ResponseReader::Append(std::string_view bytes) {
  buffer_.append(bytes);
  auto& parser = parser_->parser;
  while (true) {
    if (parser.is_done()) return true;
    if (buffer_.empty()) return false;
    boost::system::error_code error;
    const std::size_t consumed = parser.put(boost::asio::buffer(buffer_), error);
    buffer_.erase(0, consumed);
    if (error == beast::error::need_more) return false;
    if (error == beast::error::body_limit) return Fail(Code::kResourceExhausted, "HTTP response too large");
    if (error) return Fail(Code::kInternal, "bad HTTP response: " + error.message());
    if (consumed == 0 && !parser.is_done()) return false;
  }
}

bool ResponseReader::AppendEof() {
  if (!parser_->parser.got_some()) return false;
  boost::system::error_code error;
  parser_->parser.put_eof(error);
  return !error && parser_->parser.is_done();
}

Response ResponseReader::Take() {
  auto message = parser_->parser.release();
  Response response;
  response.status = static_cast<int>(message.result_int());
  response.headers = ToHeaders(message);
  response.body = std::move(message.body());
  return response;
}

std::string_view ReasonPhrase(int status) {
  return View(beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status))));
}

std::string EncodeResponse(const Response& response, bool head_only, bool keep_alive) {
  std::string out;
  out.reserve(256 + response.body.size());
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status, ReasonPhrase(response.status));
  AppendHeaders(out, response.headers);
  out.append("Date: ").append(HttpDate()).append("\r\n");
  // 204 and 304 have no body and no length (RFC 9110, 8.6).
  if (response.status != 204 && response.status != 304) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
  }
  out.append(keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
  if (!head_only && response.status != 204 && response.status != 304) out.append(response.body);
  return out;
}

std::string EncodeRequest(std::string_view method, std::string_view target, std::string_view host,
                          const Headers& headers, std::string_view body) {
  std::string out;
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  if (!headers.Has("Host")) out.append("Host: ").append(host).append("\r\n");
  AppendHeaders(out, headers);
  if (!body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body.size());
  }
  out.append("Connection: close\r\n\r\n").append(body);
  return out;
}

}  // namespace multigres::http
