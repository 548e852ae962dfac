#include "services/multigateway/handler/wire_sink.h"

#include <vector>

#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/frontend.h"
#include "query.pb.h"

namespace multigres::gateway::handler {

namespace {
constexpr std::size_t kMostUnsent = std::size_t{1} << 20;
constexpr std::size_t kLowWater = std::size_t{256} << 10;
}  // namespace

void WireSink::RowDescription(const engine::Fields& fields) {
  std::vector<pgwire::FieldDescription> descriptions;
  descriptions.reserve(static_cast<std::size_t>(fields.size()));
  for (const auto& field : fields) {
    descriptions.push_back({.name = field.name(),
                            .table_oid = field.table_oid(),
                            .column_number = static_cast<std::uint16_t>(field.table_attribute_number()),
                            .type_oid = field.data_type_oid(),
                            .type_size = static_cast<std::int16_t>(field.data_type_size()),
                            .type_modifier = field.type_modifier(),
                            .format = static_cast<std::uint16_t>(field.format())});
  }
  pgwire::WriteRowDescription(client_.out(), descriptions);
  client_.Flush();
}

void WireSink::NoData() {
  pgwire::WriteNoData(client_.out());
}

void WireSink::DataRows(std::string&& frames, std::uint32_t /*rows*/, bool row_in_progress) {
  client_.out().Bytes(frames);
  inside_row_ = row_in_progress;
  client_.Flush();
}

void WireSink::CommandComplete(std::string_view tag) {
  pgwire::WriteCommandComplete(client_.out(), tag);
}

void WireSink::EmptyQuery() {
  pgwire::WriteEmptyQueryResponse(client_.out());
}

void WireSink::PortalSuspended() {
  pgwire::WritePortalSuspended(client_.out());
}

void WireSink::Notice(const PgDiagnostic& notice) {
  pgwire::WriteDiagnostic(client_.out(), notice);
  client_.Flush();
}

void WireSink::CopyResponse(pgwire::BackendType type, std::int32_t format,
                            std::span<const std::int32_t> column_formats) {
  const std::vector<std::uint16_t> formats(column_formats.begin(), column_formats.end());
  pgwire::WriteCopyResponse(client_.out(), type, static_cast<std::uint8_t>(format), formats);
  client_.Flush();
}

void WireSink::CopyInResponse(std::int32_t format, std::span<const std::int32_t> column_formats) {
  CopyResponse(pgwire::kCopyInResponse, format, column_formats);
}

void WireSink::CopyOutResponse(std::int32_t format, std::span<const std::int32_t> column_formats) {
  CopyResponse(pgwire::kCopyOutResponse, format, column_formats);
}

void WireSink::CopyData(std::string&& data) {
  pgwire::WriteCopyData(client_.out(), data);
  client_.Flush();
}

void WireSink::CopyDone() {
  pgwire::WriteCopyDone(client_.out());
}

Awaitable<Result<engine::CopyInput>> WireSink::ReadCopyInput() {
  using engine::CopyInput;
  client_.Flush();
  // A client that says nothing more can still be cancelled out of its COPY.
  auto interrupted = cancel_ == nullptr ? CancelToken::Subscription()
                                        : cancel_->OnCancel([this](CancelReason) { client_.InterruptRead(); });
  while (true) {
    auto frame = co_await client_.ReadFrame();
    if (!frame) co_return std::unexpected(std::move(frame.error()));
    if (!*frame) {
      if (!client_.broken() && cancel_ != nullptr && cancel_->IsCancelled()) {
        co_return Fail(Code::kCanceled, "57014", "canceling statement due to user request");
      }
      client_.Abort();
      co_return Fail(Code::kCanceled, "08006", "unexpected EOF on client connection with an open transaction");
    }
    switch ((*frame)->type) {
      case pgwire::kCopyData:
        co_return CopyInput{CopyInput::Kind::kData, std::string((*frame)->body)};
      case pgwire::kCopyDone:
        co_return CopyInput{CopyInput::Kind::kDone, {}};
      case pgwire::kCopyFail: {
        auto reason = pgwire::ReadCopyFail((*frame)->body);
        if (!reason) co_return std::unexpected(std::move(reason.error()));
        co_return CopyInput{CopyInput::Kind::kFail, std::string(*reason)};
      }
      case pgwire::kFlush:
      case pgwire::kSync:
        // Drivers send them along without waiting for the COPY to begin.
        continue;
      default:
        co_return Fail(Code::kInvalidArgument, "08P01",
                       fmt::format("unexpected message type 0x{:02X} during COPY from stdin",
                                   static_cast<unsigned char>((*frame)->type)));
    }
  }
}

bool WireSink::Overfull() const {
  return client_.out().size() > kMostUnsent;
}

Awaitable<Result<>> WireSink::Flush() {
  auto drained = co_await client_.Drain(kLowWater);
  if (!drained) co_return Fail(Code::kCanceled, "08006", "connection to client lost");
  co_return Result<>{};
}

}  // namespace multigres::gateway::handler
