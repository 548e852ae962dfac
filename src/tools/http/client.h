// A small HTTP/1.1 client: one request on one connection. For probes, and for proxying between our own services.
#pragma once

#include "tools/async/reactor.h"
#include "tools/http/message.h"
#include "tools/net/socket.h"

namespace multigres::http {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, encoded
  Headers headers;           // Host is the address's unless given
  std::string body;
  std::size_t max_response_bytes = 64 * 1024 * 1024;
};

// Any status is a success. UNAVAILABLE (did not execute if there was no connection), DEADLINE_EXCEEDED,
// RESOURCE_EXHAUSTED (answer too large), INTERNAL (not HTTP).
Awaitable<Result<Response>> Fetch(Reactor& reactor, Address address, ClientRequest request, Deadline deadline);

}  // namespace multigres::http
