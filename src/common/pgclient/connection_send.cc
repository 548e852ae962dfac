// Connection: what goes out.
#include <array>

#include "common/pgclient/connection.h"

namespace multigres::pgclient {

// Notes the request. False if there is nobody to send it to.
bool Connection::BeforeSend(char type) {
  if (pipeline_.empty()) request_start_ = queued_total_;
  pipeline_.Sent(type);
  return !failure_ && !write_error_;
}

void Connection::AfterSend() {
  queued_total_ = written_total_ + out_.size();
  reactor_.AtTurnEnd(*this);
}

void Connection::SendQuery(std::string_view sql) {
  if (!BeforeSend(pgwire::kQuery)) return;
  pgwire::WriteQuery(out_, sql);
  AfterSend();
}

void Connection::SendParse(std::string_view name, std::string_view query,
                           std::span<const std::uint32_t> parameter_oids) {
  if (!BeforeSend(pgwire::kParse)) return;
  pgwire::WriteParse(out_, name, query, parameter_oids);
  AfterSend();
}

void Connection::SendBind(const pgwire::BindTarget& target,
                          std::span<const std::optional<std::string_view>> parameters) {
  if (!BeforeSend(pgwire::kBind)) return;
  pgwire::WriteBind(out_, target, parameters);
  AfterSend();
}

void Connection::SendDescribe(char kind, std::string_view name) {
  if (!BeforeSend(pgwire::kDescribe)) return;
  pgwire::WriteDescribe(out_, kind, name);
  AfterSend();
}

void Connection::SendExecute(std::string_view portal, std::int32_t max_rows) {
  if (!BeforeSend(pgwire::kExecute)) return;
  pgwire::WriteExecute(out_, portal, max_rows);
  AfterSend();
}

void Connection::SendClose(char kind, std::string_view name) {
  if (!BeforeSend(pgwire::kClose)) return;
  pgwire::WriteClose(out_, kind, name);
  AfterSend();
}

void Connection::SendFlush() {
  if (!BeforeSend(pgwire::kFlush)) return;
  pgwire::WriteFlush(out_);
  AfterSend();
}

void Connection::SendSync() {
  if (!BeforeSend(pgwire::kSync)) return;
  pgwire::WriteSync(out_);
  AfterSend();
}

void Connection::SendCopyData(std::string_view data) {
  if (!BeforeSend(pgwire::kCopyData)) return;
  pgwire::WriteCopyData(out_, data);
  AfterSend();
}

void Connection::SendCopyDone() {
  if (!BeforeSend(pgwire::kCopyDone)) return;
  awaits_copy_data_ = false;
  pgwire::WriteCopyDone(out_);
  AfterSend();
}

void Connection::SendCopyFail(std::string_view reason) {
  if (!BeforeSend(pgwire::kCopyFail)) return;
  awaits_copy_data_ = false;
  pgwire::WriteCopyFail(out_, reason);
  AfterSend();
}

void Connection::SendRaw(std::string_view bytes) {
  if (!BeforeSend('\0')) return;
  out_.Bytes(bytes);
  AfterSend();
}

void Connection::FlushNow() {
  while (!out_.empty() && !failure_) {
    const std::string_view bytes = out_.view();
    const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    auto outcome = stream_->TryWrite({&vector, 1});
    if (!outcome) {
      // What the server said before it went is still to be read: reading reports the failure.
      write_error_ = std::move(outcome.error());
      out_.Clear();
      if (reading_) WakeWaits();
      return;
    }
    written_total_ += outcome->bytes;
    out_.Consume(outcome->bytes);
    if (outcome->status == IoStatus::kWouldBlock) break;
  }
  if (out_.empty() && out_.buffer().capacity() > kKeptBuffer) out_.Release();
}

void Connection::OnTurnEnd() {
  FlushNow();
  // Whoever waits for the server's bytes alone must now see to ours as well.
  if (!out_.empty() && reading_) WakeWaits();
}

Awaitable<Result<>> Connection::Flush(Bounds bounds, std::size_t low_water) {
  while (true) {
    FlushNow();
    if (failure_) co_return std::unexpected(Failure());
    if (write_error_) co_return std::unexpected(Error(*write_error_));
    if (out_.size() <= low_water) co_return Result<>{};
    const bool read_ahead = !reading_ && !eof_;
    auto waited = co_await WaitIo(read_ahead ? Want::kReadableOrWritable : Want::kWritable, bounds);
    if (!waited) co_return waited;
    if (!read_ahead) continue;
    auto read = ReadOnce();
    if (!read) {
      Break(std::move(read.error()));
      co_return std::unexpected(Failure());
    }
  }
}

}  // namespace multigres::pgclient
