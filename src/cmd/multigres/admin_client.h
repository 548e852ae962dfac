// One call of the CLI to multiadmin.
#pragma once

#include "cmd/multigres/command.h"
#include "common/rpc/channel.h"
#include "multiadminservice.pb.h"
#include "multiadminservice.rpc.h"
#include "tools/net/socket.h"

namespace multigres::cli {

using AdminClient = ::multiadmin::rpc::MultiAdminServiceClient;
template <class Request, class Response>
using AdminMethod = Awaitable<Result<Response>> (AdminClient::*)(Request, rpc::CallOptions);

// --admin-server, else the local cluster's.
Result<Address> AdminAddress(const GlobalFlags& flags);

// On a connection of its own.
template <class Request, class Response>
Awaitable<Result<Response>> AskAdmin(Context& context, AdminMethod<Request, Response> method, Request request,
                                     Duration timeout) {
  auto address = AdminAddress(context.flags);
  if (!address) co_return std::unexpected(std::move(address.error()));
  auto channel = rpc::Channel::Create(context.reactor, *address);
  rpc::CallOptions options;
  options.deadline = context.reactor.clock().After(timeout);
  AdminClient client(*channel);
  auto response = co_await (client.*method)(std::move(request), options);
  co_await channel->Close();
  if (!response && response.error().code() == Code::kUnavailable) {
    co_return Fail(std::move(response), fmt::format("multiadmin at {}", ToString(*address)));
  }
  co_return response;
}

}  // namespace multigres::cli
