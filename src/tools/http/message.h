// HTTP messages as handlers and callers see them: whole, never streamed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multigres::http {

// Names compare without case; order is kept.
class Headers {
 public:
  void Add(std::string name, std::string value) { entries_.emplace_back(std::move(name), std::move(value)); }
  void Set(std::string_view name, std::string value);
  void Remove(std::string_view name);
  // The first value; empty if there is none.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

struct Request {
  std::string method;                                       // upper case
  std::string target;                                       // as sent: "/a%20b?x=1"
  std::string path;                                         // decoded, without the query: "/a b"
  std::vector<std::pair<std::string, std::string>> query;   // decoded, in order
  std::vector<std::pair<std::string, std::string>> params;  // what {name} in the route matched
  Headers headers;
  std::string body;
  std::string peer;  // "127.0.0.1:5432"

  // The first value; empty if there is none.
  std::string_view Query(std::string_view name) const;
  std::string_view Param(std::string_view name) const;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Type belongs here; Content-Length, Connection and Date are the server's
  std::string body;
};

Response TextResponse(int status, std::string body);
Response HtmlResponse(int status, std::string body);
Response JsonResponse(int status, std::string body);

// Percent-decoding ('+' is a space in queries only). False if malformed.
bool DecodePercent(std::string_view text, bool plus_is_space, std::string& out);
std::string EncodePercent(std::string_view text);  // everything but unreserved characters (RFC 3986)
// &, <, >, " and ' as entities.
std::string EscapeHtml(std::string_view text);

}  // namespace multigres::http
