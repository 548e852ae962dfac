#include "tools/async/suspension.h"

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>

#include "tools/result/check.h"

namespace multigres {

Suspension::~Suspension() {
  CHECK(!handler_, "destroyed with a waiter");
}

Awaitable<void> Suspension::Wait() {
  CHECK(!handler_, "second waiter");
  return asio::async_initiate<const asio::use_awaitable_t<Executor>, void(boost::system::error_code)>(
      [this](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          slot.assign([this](asio::cancellation_type) { Complete(asio::error::operation_aborted); });
        }
        handler_ = [handler = std::move(handler)](boost::system::error_code error) mutable {
          auto executor = asio::get_associated_executor(handler);
          asio::post(executor, asio::append(std::move(handler), error));
        };
      },
      kAwait);
}

void Suspension::Resume() {
  if (handler_) Complete({});
}

void Suspension::Complete(boost::system::error_code error) {
  if (!handler_) return;
  auto handler = std::move(handler_);
  handler_ = nullptr;
  handler(error);
}

}  // namespace multigres
