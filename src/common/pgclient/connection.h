// One connection to PostgreSQL: messages out, messages in, and what the session's state is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/pgclient/connect_options.h"
#include "common/pgclient/errors.h"
#include "common/pgclient/pipeline.h"
#include "common/pgwire/backend.h"
#include "common/pgwire/byte_buffer.h"
#include "common/pgwire/framing.h"
#include "common/pgwire/frontend.h"
#include "tools/async/reactor.h"

namespace multigres::auth {
class ScramClient;
}  // namespace multigres::auth

namespace multigres::pgclient {

// Rows travel on in blocks of at most this.
inline constexpr std::size_t kRowBlockBytes = std::size_t{2} << 20;

// What the server sent next. Views are good until the next call that reads.
struct Block {
  // 'D': consecutive DataRow frames; else one whole message.
  char type = 0;
  // 'D': the exact bytes of the frames, headers included; else the message's body.
  std::string_view bytes;
  // 'D': frames that end in this block, and whether its last one goes on in the next.
  std::uint32_t rows = 0;
  bool row_in_progress = false;
};

// Receives what the server sends unasked. Called inside NextReply() and CheckIdle(), never otherwise.
struct AsyncHandlers {
  std::move_only_function<void(PgDiagnostic&&)> on_notice;
  std::move_only_function<void(const pgwire::NotificationResponse&)> on_notification;
  std::move_only_function<void(std::string_view name, std::string_view value)> on_parameter;
};

// Lives on one reactor. Requests are queued by Send...() and leave in one write at the end of the reactor's turn, or
// by Flush(). One coroutine reads at a time; another may send meanwhile (replication).
//
// Reading: Next() gives every message in the order of arrival, NextBlock() as well with rows in bulk, NextReply() hands
// notices, notifications and parameter changes to the handlers and gives the rest. ErrorResponse is a message ('E') as
// others are. The session's state is up to date before a message is given out.
//
// Errors of these calls are the connection's own: interrupted by Bounds (IsInterrupted(), carry on as you like), or
// broken (then and from then on; UNAVAILABLE, or the FATAL that the server sent before it closed). Execution says
// DidNotExecute if no byte sent since the connection was last idle has been written.
class Connection final : private TurnEndHook {
 public:
  // Connects, authenticates and reads to the first ReadyForQuery. Refused by the server: its diagnostic. SCRAM and
  // trust only; what else it asks for is UNAUTHENTICATED with 28000. Nothing has executed in any case.
  // The wait is not resumable: an interrupted Open() has closed its socket.
  static Awaitable<Result<std::unique_ptr<Connection>>> Open(Reactor& reactor, ConnectOptions options, Bounds bounds);
  // The same over a stream that exists already (options.address is for cancelling only).
  static Awaitable<Result<std::unique_ptr<Connection>>> Open(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                             ConnectOptions options, Bounds bounds);
  // Closes the socket. No call may be waiting.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // --- session state
  std::int32_t process_id() const { return process_id_; }
  CancelTarget cancel_target() const { return {options_.address, process_id_, secret_key_}; }
  std::uint32_t protocol_version() const { return protocol_version_; }
  pgwire::TransactionStatus transaction_status() const { return transaction_status_; }
  // Last reported values of the GUC_REPORT parameters.
  const std::map<std::string, std::string, std::less<>>& parameters() const { return parameters_; }
  // Counts ParameterStatus messages: a cheap way to see whether there was a change.
  std::uint64_t parameter_changes() const { return parameter_changes_; }
  // Every request is answered and no bytes are queued. (What the server may have said unasked since is CheckIdle()'s.)
  bool in_sync() const;
  // The server is in a COPY FROM STDIN that hasn't been ended from here.
  bool awaits_copy_data() const { return awaits_copy_data_; }
  // In sync, and idle outside a transaction: fit for the pool.
  bool is_idle() const { return in_sync() && transaction_status_ == pgwire::TransactionStatus::kIdle; }
  const Pipeline& pipeline() const { return pipeline_; }
  bool broken() const { return failure_.has_value(); }
  // Why; null unless broken().
  const Error* failure() const { return failure_ ? &*failure_ : nullptr; }
  ByteStream& stream() { return *stream_; }
  Reactor& reactor() { return reactor_; }
  void set_handlers(AsyncHandlers handlers) { handlers_ = std::move(handlers); }

  // --- sending. Queues; a broken connection swallows it and the next read says so.
  void SendQuery(std::string_view sql);
  void SendParse(std::string_view name, std::string_view query, std::span<const std::uint32_t> parameter_oids = {});
  void SendBind(const pgwire::BindTarget& target, std::span<const std::optional<std::string_view>> parameters = {});
  void SendDescribe(char kind, std::string_view name);
  void SendExecute(std::string_view portal, std::int32_t max_rows = 0);
  void SendClose(char kind, std::string_view name);
  void SendFlush();
  void SendSync();
  void SendCopyData(std::string_view data);
  void SendCopyDone();
  void SendCopyFail(std::string_view reason);
  // Bytes that aren't looked at, for a stream whose end-points are elsewhere (replication). The pipeline doesn't count
  // them.
  void SendRaw(std::string_view bytes);
  // Bytes queued and not yet taken by the kernel.
  std::size_t unsent() const { return out_.size(); }
  // Writes what the kernel takes now.
  void FlushNow();
  // Waits until at most `low_water` bytes are unsent. What the server sends meanwhile is read ahead, so that two full
  // pipes can't block each other.
  Awaitable<Result<>> Flush(Bounds bounds, std::size_t low_water = 0);

  // --- reading
  Awaitable<Result<pgwire::Frame>> Next(Bounds bounds);
  Awaitable<Result<pgwire::Frame>> NextReply(Bounds bounds);
  // Rows as they come: all whole frames that are there, up to `max_bytes`. A row larger than that comes in slices of
  // `max_bytes` that hold only it.
  Awaitable<Result<Block>> NextBlock(Bounds bounds, std::size_t max_bytes = kRowBlockBytes);
  // Any bytes at all, uninterpreted, at most `max_bytes`: the other direction of SendRaw(). Empty = the server closed.
  Awaitable<Result<std::string_view>> NextRaw(Bounds bounds, std::size_t max_bytes = 65536);
  // The same without waiting: what has been read ahead already, or nothing. A reply's later messages mostly are there
  // with its first, so a loop may ask this before it awaits the next one. Never reads from the socket.
  Result<std::optional<pgwire::Frame>> TryNext();
  Result<std::optional<Block>> TryNextBlock(std::size_t max_bytes = kRowBlockBytes);
  // Would the next Next() return without waiting? Never reads from the socket.
  bool has_buffered() const;
  // Ends the waits in progress with CANCELED.
  void Interrupt();

  // For a connection that has been lying idle: looks, without waiting, whether the server has closed it or said that it
  // will. The error then is the failure, DidNotExecute. Costs one read, and one more if there was something.
  Result<> CheckIdle();

  // Hands a notice, notification or parameter change to its handler. False if the message is none of these.
  bool Dispatch(const pgwire::Frame& message);

  // Says Terminate as far as that goes without waiting, and closes the socket; waits end with an error. Idempotent.
  void Close();

 private:
  static constexpr std::size_t kReadSize = 16384;
  static constexpr std::size_t kMaxReadSize = 262144;
  // An idle connection keeps no larger buffer than this.
  static constexpr std::size_t kKeptBuffer = 32768;
  enum class Want { kReadable, kReadableOrWritable, kWritable };

  Connection(Reactor& reactor, std::unique_ptr<ByteStream> stream, ConnectOptions options);
  void OnTurnEnd() override;

  // startup.cc
  Awaitable<Result<>> StartUp(Bounds bounds);
  Result<> Identify(const pgwire::Frame& message);
  Result<> Authenticate(std::string_view body, std::unique_ptr<auth::ScramClient>& scram);
  Result<> BeginScram(std::span<const std::string_view> mechanisms, std::unique_ptr<auth::ScramClient>& scram);

  // connection_send.cc
  bool BeforeSend(char type);
  void AfterSend();

  // connection_read.cc
  void DropConsumed();
  Result<std::size_t> ReadOnce();
  Awaitable<Result<>> FillTo(std::size_t bytes, Bounds bounds);
  static std::size_t BytesWanted(std::string_view bytes);
  std::size_t BlockBytesWanted(std::size_t max_bytes) const;
  Result<> Track(const pgwire::Frame& message);
  Result<> TrackError(const pgwire::Frame& message);

  // connection.cc
  Awaitable<Result<>> WaitIo(Want want, Bounds bounds);
  Result<> CheckBounds(const Bounds& bounds) const;
  void WakeWaits();
  void Break(Error error);
  Error Failure() const;

  Reactor& reactor_;
  std::unique_ptr<ByteStream> stream_;
  ConnectOptions options_;
  AsyncHandlers handlers_;

  pgwire::ByteBuffer in_;
  std::size_t consumed_ = 0;       // front of in_ that the last read lent out
  std::size_t row_remaining_ = 0;  // bytes to come of a row that is given out in slices
  std::size_t read_size_;          // how much a read asks for
  bool drained_ = true;            // the last read found the socket empty
  bool eof_ = false;
  bool reading_ = false;  // a wait for what the server sends is in progress
  pgwire::WireWriter out_;
  std::uint64_t queued_total_ = 0;
  std::uint64_t written_total_ = 0;
  std::uint64_t request_start_ = 0;  // queued_total_ when the current request began
  std::uint64_t wakes_ = 0;          // how often the waits in progress were ended by ourselves
  std::uint64_t interrupts_ = 0;

  Pipeline pipeline_;
  std::int32_t process_id_ = 0;
  std::string secret_key_;
  std::uint32_t protocol_version_ = 0;
  pgwire::TransactionStatus transaction_status_ = pgwire::TransactionStatus::kIdle;
  std::map<std::string, std::string, std::less<>> parameters_;
  std::uint64_t parameter_changes_ = 0;
  bool awaits_copy_data_ = false;
  bool closed_ = false;
  std::optional<Error> write_error_;
  std::optional<Error> fatal_;  // the server has said that it will close
  std::optional<Error> failure_;
};

// Opens a connection of its own, sends the CancelRequest and waits until the server has closed it: the signal is on its
// way then.
Awaitable<Result<>> CancelQuery(Reactor& reactor, CancelTarget target, Deadline deadline);

}  // namespace multigres::pgclient
