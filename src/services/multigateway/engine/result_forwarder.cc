#include "services/multigateway/engine/result_forwarder.h"

#include "common/mterrors/diagnostic_proto.h"
#include "query.pb.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {
namespace {

void NoteParameters(session::Session& session, const ::query::QueryResult& result) {
  // A pooled backend's changes are the pooler's own business.
  if (result.parameter_status().empty() || !session.pinned()) return;
  for (const auto& [name, value] : result.parameter_status()) session.reported().Observe(name, value);
}

}  // namespace

Awaitable<Result<>> ResultForwarder::OnPayload(::query::QueryResultPayload& payload) {
  if (payload.has_result()) {
    OnResult(*payload.mutable_result());
  } else if (payload.has_diagnostic()) {
    client_.Notice(mterrors::FromProto(payload.diagnostic()));
  }
  if (client_.Overfull()) co_return co_await client_.Flush();
  co_return Result<>();
}

void ResultForwarder::OnResult(::query::QueryResult& result) {
  NoteParameters(session_, result);
  bool has_block = !result.passthrough_block().empty();
  bool ends = !result.command_tag().empty();
  if (columns_ != ColumnsWanted::kNone && (result.has_fields() || ends || has_block)) {
    if (result.has_fields()) {
      client_.RowDescription(result.fields());
    } else if (columns_ == ColumnsWanted::kDescribeResponse) {
      client_.NoData();
    }
    columns_ = ColumnsWanted::kNone;
  }
  if (has_block) {
    client_.DataRows(std::move(*result.mutable_passthrough_block()), result.passthrough_row_count(),
                     result.passthrough_row_in_progress());
  }
  if (ends) tag_ = std::move(*result.mutable_command_tag());
}

Awaitable<Result<>> RowReader::OnPayload(::query::QueryResultPayload& payload) {
  if (payload.has_result()) {
    NoteParameters(session_, payload.result());
    if (columns_.empty() && !payload.result().rows().empty()) {
      const ::query::Row& row = payload.result().rows(0);
      std::size_t offset = 0;
      for (std::int64_t length : row.lengths()) {
        if (length < 0) {
          columns_.emplace_back(std::nullopt);
          continue;
        }
        if (offset + static_cast<std::size_t>(length) > row.values().size()) {
          co_return Fail(Code::kInternal, "malformed row from the pooler");
        }
        columns_.emplace_back(row.values().substr(offset, static_cast<std::size_t>(length)));
        offset += static_cast<std::size_t>(length);
      }
    }
  }
  co_return Result<>();
}

}  // namespace multigres::gateway::engine
