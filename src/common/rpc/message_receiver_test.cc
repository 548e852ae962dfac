#include "common/rpc/message_receiver.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "common/rpc/message_frame.h"
#include "common/rpc/raw_peer.h"
#include "common/rpc/service.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"

namespace multigres::rpc {
namespace {

using google::protobuf::BytesValue;

struct Window final : MessageReceiver::Window {
  void GiveCredit(std::size_t bytes) override { credited += bytes; }
  std::size_t credited = 0;
};

std::string Message(std::size_t size) {
  BytesValue value;
  value.set_value(std::string(size, 'm'));
  return Framed(value.SerializeAsString());
}

void Append(MessageReceiver& receiver, std::string_view bytes) {
  receiver.Append({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

// Reads until the end; the sizes of the messages, and how it ended.
Awaitable<void> ReadAll(MessageReceiver* receiver, std::vector<std::size_t>* sizes, Result<>* end) {
  BytesValue value;
  while (true) {
    auto read = co_await receiver->Read(value);
    if (!read) *end = std::unexpected(read.error());
    if (!read || !*read) co_return;
    sizes->push_back(value.value().size());
  }
}

TEST(MessageReceiver, CutsMessagesHoweverTheyArrive) {
  const std::vector<std::size_t> sizes = {0, 1, 5, 1000, 70'000, 3};
  std::string bytes;
  for (const std::size_t size : sizes) bytes += Message(size);
  for (const std::size_t step : {1ul, 2ul, 7ul, 100ul, 65'536ul, bytes.size()}) {
    for (const bool reader_first : {true, false}) {
      Reactor reactor;
      Window window;
      MessageReceiver receiver(window);
      std::vector<std::size_t> got;
      Result<> end;
      auto main = [&]() -> Awaitable<void> {
        TaskGroup tasks(reactor.executor());
        if (reader_first) tasks.Spawn("reader", ReadAll(&receiver, &got, &end));
        for (std::size_t at = 0; at < bytes.size(); at += step) {
          Append(receiver, std::string_view(bytes).substr(at, step));
          if (at % 3 == 0) co_await asio::post(reactor.executor(), kAwait);
        }
        receiver.End({});
        if (!reader_first) tasks.Spawn("reader", ReadAll(&receiver, &got, &end));
        co_await tasks.Join();
      };
      RunOnReactor(reactor, main());
      EXPECT_EQ(got, sizes) << step;
      EXPECT_TRUE(end);
      EXPECT_EQ(window.credited, bytes.size());
    }
  }
}

TEST(MessageReceiver, CreditsOnlyWhatIsReadOrWaitedFor) {
  Reactor reactor;
  Window window;
  MessageReceiver receiver(window);
  const std::string large = Message(100'000);
  auto main = [&]() -> Awaitable<void> {
    Append(receiver, large);
    Append(receiver, std::string_view(large).substr(0, 50'000));
    EXPECT_EQ(window.credited, 0u);
    BytesValue value;
    EXPECT_TRUE((co_await receiver.Read(value)).value_or(false));
    EXPECT_EQ(window.credited, large.size());
    std::vector<std::size_t> sizes;
    Result<> end;
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("reader", ReadAll(&receiver, &sizes, &end));
    // The reader waits for the rest: its window has to open.
    EXPECT_EQ(window.credited, large.size() + 50'000);
    Append(receiver, std::string_view(large).substr(50'000));
    receiver.End({});
    co_await tasks.Join();
    EXPECT_EQ(window.credited, 2 * large.size());
  };
  RunOnReactor(reactor, main());
}

TEST(MessageReceiver, EndComesAfterTheMessagesAbortBeforeThem) {
  Reactor reactor;
  auto main = []() -> Awaitable<void> {
    BytesValue value;
    Window window;
    MessageReceiver ended(window);
    Append(ended, Message(1));
    ended.End(Fail(Code::kNotFound, "gone"));
    EXPECT_TRUE((co_await ended.Read(value)).value_or(false));
    EXPECT_EQ((co_await ended.Read(value)).error().code(), Code::kNotFound);
    MessageReceiver aborted(window);
    Append(aborted, Message(1));
    aborted.Abort(Error(Code::kCanceled, "stop"));
    EXPECT_EQ((co_await aborted.Read(value)).error().code(), Code::kCanceled);
  };
  RunOnReactor(reactor, main());
}

TEST(MessageReceiver, RefusesWhatItCannotTake) {
  Reactor reactor;
  auto main = []() -> Awaitable<void> {
    const std::pair<std::string, Code> kCases[] = {{Framed("x", 1), Code::kUnimplemented},
                                                   {std::string("\0\x01\0\0\x01", 5), Code::kResourceExhausted},
                                                   {Framed("\xff\xff"), Code::kInternal}};
    for (const auto& [bytes, code] : kCases) {
      BytesValue value;
      Window window;
      MessageReceiver receiver(window);
      Append(receiver, bytes);
      Append(receiver, Message(1));
      EXPECT_EQ((co_await receiver.Read(value)).error().code(), code);
      EXPECT_EQ((co_await receiver.Read(value)).error().code(), code);
    }
    BytesValue value;
    Window window;
    MessageReceiver cut(window);
    Append(cut, Message(10).substr(0, 8));
    cut.End({});
    EXPECT_EQ((co_await cut.Read(value)).error().code(), Code::kInternal);
  };
  RunOnReactor(reactor, main());
}

TEST(MessageFrame, RefusesMessagesOverTheLimit) {
  SliceQueue queue;
  BytesValue value;
  value.set_value(std::string(kMaxMessageBytes, 'm'));
  EXPECT_EQ(AppendMessage(value, queue).error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace multigres::rpc
