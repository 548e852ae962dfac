// A statement's results as messages to the client.
#pragma once

#include "services/multigateway/engine/client_sink.h"
#include "services/multigateway/listener/client_connection.h"
#include "tools/async/cancel_token.h"

namespace multigres::gateway::handler {

class WireSink final : public engine::ClientSink {
 public:
  explicit WireSink(listener::ClientConnection& client) : client_(client) {}

  void RowDescription(const engine::Fields& fields) override;
  void NoData() override;
  void DataRows(std::string&& frames, std::uint32_t rows, bool row_in_progress) override;
  void CommandComplete(std::string_view tag) override;
  void EmptyQuery() override;
  void PortalSuspended() override;
  void Notice(const PgDiagnostic& notice) override;
  void CopyInResponse(std::int32_t format, std::span<const std::int32_t> column_formats) override;
  void CopyOutResponse(std::int32_t format, std::span<const std::int32_t> column_formats) override;
  void CopyData(std::string&& data) override;
  void CopyDone() override;
  Awaitable<Result<engine::CopyInput>> ReadCopyInput() override;
  bool Overfull() const override;
  Awaitable<Result<>> Flush() override;

  // The output ends inside a DataRow: no other message can follow.
  bool inside_row() const { return inside_row_; }
  // Set by the handler for the length of a message cycle.
  void set_cancel(CancelToken* cancel) { cancel_ = cancel; }

 private:
  void CopyResponse(pgwire::BackendType type, std::int32_t format, std::span<const std::int32_t> column_formats);

  listener::ClientConnection& client_;
  CancelToken* cancel_ = nullptr;
  bool inside_row_ = false;
};

}  // namespace multigres::gateway::handler
