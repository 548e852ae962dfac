// Passes everything on but the command tag, which waits until the commit behind it has succeeded.
#pragma once

#include <optional>
#include <string>

#include "services/multigateway/engine/client_sink.h"

namespace multigres::gateway::executor {

class DeferringSink final : public engine::ClientSink {
 public:
  explicit DeferringSink(engine::ClientSink& client) : client_(client) {}

  void CommandComplete(std::string_view tag) override { tag_ = tag; }
  void Release() {
    if (tag_) client_.CommandComplete(*tag_);
    tag_.reset();
  }

  void RowDescription(const engine::Fields& fields) override { client_.RowDescription(fields); }
  void NoData() override { client_.NoData(); }
  void DataRows(std::string&& frames, std::uint32_t rows, bool row_in_progress) override {
    client_.DataRows(std::move(frames), rows, row_in_progress);
  }
  void EmptyQuery() override { client_.EmptyQuery(); }
  void PortalSuspended() override { client_.PortalSuspended(); }
  void Notice(const PgDiagnostic& notice) override { client_.Notice(notice); }
  void CopyInResponse(std::int32_t format, std::span<const std::int32_t> column_formats) override {
    client_.CopyInResponse(format, column_formats);
  }
  void CopyOutResponse(std::int32_t format, std::span<const std::int32_t> column_formats) override {
    client_.CopyOutResponse(format, column_formats);
  }
  void CopyData(std::string&& data) override { client_.CopyData(std::move(data)); }
  void CopyDone() override { client_.CopyDone(); }
  Awaitable<Result<engine::CopyInput>> ReadCopyInput() override { return client_.ReadCopyInput(); }
  bool Overfull() const override { return client_.Overfull(); }
  Awaitable<Result<>> Flush() override { return client_.Flush(); }

 private:
  engine::ClientSink& client_;
  std::optional<std::string> tag_;
};

}  // namespace multigres::gateway::executor
