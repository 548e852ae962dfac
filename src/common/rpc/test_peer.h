// For the tests of this folder: a service of every shape, a server of it, and waiting for a condition.
#pragma once

#include <google/protobuf/wrappers.pb.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "tools/async/event.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"

namespace multigres::rpc {

using google::protobuf::BytesValue;
using google::protobuf::StringValue;

inline constexpr std::string_view kEcho = "/test.Peer/Echo";
inline constexpr std::string_view kStream = "/test.Peer/Stream";
inline constexpr std::string_view kCollect = "/test.Peer/Collect";
inline constexpr std::string_view kChat = "/test.Peer/Chat";
inline constexpr std::string_view kHang = "/test.Peer/Hang";
inline constexpr std::string_view kPour = "/test.Peer/Pour";
inline constexpr std::string_view kIgnore = "/test.Peer/Ignore";

// May run on several reactors.
class TestService final : public Service {
 public:
  std::string_view full_name() const override { return "test.Peer"; }
  std::span<const MethodInfo> methods() const override {
    static constexpr MethodInfo kMethods[] = {
        {"Echo", CallShape::kUnary},           {"Stream", CallShape::kServerStream},
        {"Collect", CallShape::kClientStream}, {"Chat", CallShape::kBidi},
        {"Hang", CallShape::kUnary},           {"Pour", CallShape::kServerStream},
        {"Ignore", CallShape::kClientStream}};
    return kMethods;
  }
  Awaitable<Result<>> Handle(std::size_t index, ServerCall& call) override {
    switch (index) {
      case 0:
        return Echo(call);
      case 1:
        return Stream(call);
      case 2:
        return Collect(call);
      case 3:
        return Chat(call);
      case 4:
        return Hang(call);
      case 5:
        return Pour(call);
      default:
        return Ignore(call);
    }
  }

  std::atomic<int> started = 0;
  std::atomic<int> hanging = 0;
  std::atomic<int> cancelled = 0;  // calls of Hang and Ignore that learned of their cancellation
  std::atomic<CancelReason> reason = CancelReason::kNone;
  std::atomic<std::int64_t> poured_bytes = 0;

 private:
  // The same back; "fail" = an error with details; metadata "x-..." comes back as initial and as trailing metadata.
  Awaitable<Result<>> Echo(ServerCall& call) {
    ++started;
    StringValue message;
    auto read = co_await call.Read(message);
    if (!read) co_return std::unexpected(std::move(read.error()));
    for (const auto& [key, value] : call.metadata().entries()) {
      if (!key.starts_with("x-")) continue;
      call.AddInitialMetadata(key, value);
      call.AddTrailingMetadata(key, value);
    }
    if (message.value() == "fail") {
      co_return std::unexpected(
          Error(Code::kNotFound, "no such thing: 100% \xc3\xa4\n").WithStatusDetails(std::string("de\0tails", 8)));
    }
    if (message.value() == "fail long") {
      co_return std::unexpected(
          Error(Code::kAborted, std::string(200'000, 'm')).WithStatusDetails(std::string(300'000, 'd')));
    }
    if (message.value() == "large metadata") call.AddInitialMetadata("x-large", std::string(100'000, 'l'));
    co_return co_await call.Write(message);
  }

  // "<count> <size>": that many messages of that size.
  Awaitable<Result<>> Stream(ServerCall& call) {
    ++started;
    StringValue request;
    auto read = co_await call.Read(request);
    if (!read) co_return std::unexpected(std::move(read.error()));
    std::size_t size_at = 0;
    const int count = std::stoi(request.value(), &size_at);
    BytesValue message;
    message.set_value(std::string(std::stoul(request.value().substr(size_at)), 's'));
    for (int i = 0; i < count; ++i) {
      auto written = co_await call.Write(message);
      if (!written) co_return written;
    }
    co_return Result<>{};
  }

  // One message: the number of bytes that came.
  Awaitable<Result<>> Collect(ServerCall& call) {
    ++started;
    std::size_t bytes = 0;
    while (true) {
      BytesValue message;
      auto read = co_await call.Read(message);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (!*read) break;
      bytes += message.value().size();
    }
    StringValue response;
    response.set_value(std::to_string(bytes));
    co_return co_await call.Write(response);
  }

  Awaitable<Result<>> Chat(ServerCall& call) {
    ++started;
    while (true) {
      StringValue message;
      auto read = co_await call.Read(message);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (!*read) co_return Result<>{};
      auto written = co_await call.Write(message);
      if (!written) co_return written;
    }
  }

  // Until cancelled.
  Awaitable<Result<>> Hang(ServerCall& call) {
    ++started;
    ++hanging;
    Event told;
    auto subscription = call.cancel().OnCancel([&](CancelReason) { told.Set(); });
    co_await told.Wait();
    --hanging;
    reason = call.cancel().reason();
    ++cancelled;
    co_return Fail(Code::kAborted, "gave up");
  }

  // Writes without end.
  Awaitable<Result<>> Pour(ServerCall& call) {
    ++started;
    BytesValue message;
    message.set_value(std::string(100'000, 'p'));
    while (true) {
      auto written = co_await call.Write(message);
      if (!written) co_return written;
      poured_bytes += 100'000;
    }
  }

  // Doesn't read until cancelled.
  Awaitable<Result<>> Ignore(ServerCall& call) { return Hang(call); }
};

struct TempDir {
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rpc_test_XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

// Polls; false if it isn't so within ten seconds.
template <class Condition>
Awaitable<bool> Eventually(Clock& clock, Condition condition) {
  const Deadline deadline = clock.After(std::chrono::seconds(10));
  while (!condition()) {
    if (deadline.Passed(clock.Now())) co_return false;
    co_await SleepFor(clock, std::chrono::milliseconds(1));
  }
  co_return true;
}

}  // namespace multigres::rpc
