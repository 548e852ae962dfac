// HTTP/1.1 messages from and to bytes; no I/O. The parser is Boost.Beast's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tools/http/message.h"
#include "tools/result/error.h"

namespace multigres::http {

// Reads one request after the other from a connection's bytes.
class RequestReader {
 public:
  RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes);
  ~RequestReader();

  void Append(std::string_view bytes) { buffer_.append(bytes); }
  // Something of the next request is here; all of its header.
  bool HasBytes() const { return !buffer_.empty() || started_; }
  bool HeaderDone() const;
  enum class State { kNeedMore, kDone, kBad };
  // kBad: answer with bad_status() and close.
  State Parse();
  int bad_status() const { return bad_status_; }
  // The header is complete, the body isn't, and the client waits for leave to send it (once true, then false).
  bool TakeExpectContinue();

  // After kDone: the request, and the reader is ready for the next.
  Request Take();
  bool keep_alive() const { return keep_alive_; }  // of the request taken last

 private:
  struct Parser;
  State Fail(int status);
  void Reset();

  std::size_t max_header_bytes_;
  std::size_t max_body_bytes_;
  std::string buffer_;
  std::unique_ptr<Parser> parser_;
  bool started_ = false;
  bool keep_alive_ = false;
  bool continue_sent_ = false;
  int bad_status_ = 0;
};

// Reads one response.
class ResponseReader {
 public:
  ResponseReader(bool to_head, std::size_t max_body_bytes);
  ~ResponseReader();
  // True once the response is complete. INTERNAL if it isn't HTTP, RESOURCE_EXHAUSTED beyond the limit.
  Result<bool> Append(std::string_view bytes);
  // The connection ended: true if that ends the response properly.
  bool AppendEof();
  Response Take();

 private:
  struct Parser;
  std::string buffer_;
  std::unique_ptr<Parser> parser_;
};

std::string EncodeResponse(const Response& response, bool head_only, bool keep_alive);
// `host` unless the headers have one; Connection: close.
std::string EncodeRequest(std::string_view method, std::string_view target, std::string_view host,
                          const Headers& headers, std::string_view body);
std::string_view ReasonPhrase(int status);

}  // namespace multigres::http
