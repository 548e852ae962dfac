#include "services/multipooler/executor/result_pump.h"

#include <charconv>
#include <chrono>

#include "common/mterrors/conditions.h"
#include "common/mterrors/diagnostic_proto.h"
#include "common/mterrors/utf8.h"
#include "common/pgclient/query.h"
#include "common/pgwire/diagnostic.h"
#include "query.pb.h"

namespace multigres::pooler::executor {

namespace {

constexpr Duration kPartialFlush = std::chrono::milliseconds(5);
constexpr Duration kCancelDial = std::chrono::seconds(5);
constexpr Duration kCancelDrain = std::chrono::seconds(2);

std::uint64_t RowsOfTag(std::string_view tag) {
  const auto space = tag.rfind(' ');
  if (space == std::string_view::npos) return 0;
  std::uint64_t rows = 0;
  const auto digits = tag.substr(space + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), rows);
  return rows;
}

// PostgreSQL tells of a cancelled wait for its standbys by a mere warning, in the server's language; the function that
// gives it is named in any (source: SyncRepWaitForLSN, which gives no other).
bool EndsSyncWait(std::string_view notice) {
  pgwire::WireReader reader(notice);
  while (const char field = static_cast<char>(reader.Byte())) {
    if (reader.CString() == "SyncRepWaitForLSN" && field == 'R') return true;
  }
  return false;
}

class Pump {
 public:
  Pump(pgclient::Connection& connection, queryservice::CallScope scope, queryservice::ResultSink& sink,
       PumpOptions options)
      : connection_(connection), scope_(scope), sink_(sink), options_(options) {}

  Awaitable<PumpResult> Run() {
    while (connection_.pipeline().size() > 0) {
      auto block = co_await Next();
      if (!block) {
        // Broken for good, or not drained in time: nobody can use it again.
        connection_.Close();
        outcome_.unanswered = pgclient::IsInterrupted(block.error());
        if (outcome_.result) outcome_.result = std::unexpected(EndedBy(std::move(block.error())));
        co_return std::move(outcome_);
      }
      co_await Handle(*block);
      if (options_.skip_completions > 0 && !outcome_.result) outcome_.failed_before_statement = true;
    }
    co_await Deliver();
    if (sink_error_ && outcome_.result) outcome_.result = std::unexpected(std::move(*sink_error_));
    if (outcome_.unreplicated && outcome_.result) {
      outcome_.result = std::unexpected(mterrors::OutcomeUnknown("the wait for synchronous replication was cancelled"));
    }
    co_return std::move(outcome_);
  }

 private:
  Clock& clock() { return connection_.reactor().clock(); }

  pgclient::Bounds CurrentBounds() const {
    if (cancelling_) return {drain_until_, nullptr};
    return {scope_.deadline, scope_.cancel};
  }

  // The next thing that the server sent. Interruptions of ours are dealt with here.
  Awaitable<Result<pgclient::Block>> Next() {
    while (true) {
      if (!cancelling_ && (ScopeEnded() || sink_error_)) co_await BeginCancelling();
      auto bounds = CurrentBounds();
      Deadline flush_at;
      if (HasPending() && !connection_.has_buffered()) {
        flush_at = clock().After(kPartialFlush);
        bounds.deadline = bounds.deadline.Earlier(flush_at);
      }
      auto block = co_await NextBlock(bounds);
      if (block || !pgclient::IsInterrupted(block.error())) co_return block;
      if (cancelling_ && drain_until_.Passed(clock().Now())) co_return block;
      if (flush_at.Passed(clock().Now())) co_await Deliver();
    }
  }

  Awaitable<Result<pgclient::Block>> NextBlock(pgclient::Bounds bounds) {
    if (options_.passthrough) co_return co_await connection_.NextBlock(bounds);
    auto frame = co_await connection_.Next(bounds);
    if (!frame) co_return std::unexpected(std::move(frame.error()));
    co_return pgclient::Block{.type = frame->type, .bytes = frame->body};
  }

  bool ScopeEnded() {
    return (scope_.cancel != nullptr && scope_.cancel->IsCancelled()) || scope_.deadline.Passed(clock().Now());
  }

  Awaitable<void> BeginCancelling() {
    cancelling_ = true;
    const bool by_token = scope_.cancel != nullptr && scope_.cancel->IsCancelled();
    // A cancel wins over a deadline of the same moment.
    timed_out_ = by_token ? scope_.cancel->reason() == CancelReason::kDeadline : !sink_error_;
    // What fails here shows as a statement that doesn't end: it is closed after the drain time.
    (void)co_await pgclient::CancelQuery(connection_.reactor(), connection_.cancel_target(),
                                         clock().After(kCancelDial));
    drain_until_ = clock().After(kCancelDrain);
  }

  Error EndedBy(Error error) const {
    if (!pgclient::IsInterrupted(error)) return error;
    return timed_out_ ? mterrors::StatementTimeout() : mterrors::CanceledByUser();
  }

  Awaitable<void> Handle(const pgclient::Block& block) {
    switch (block.type) {
      case pgwire::kDataRow:
        AddRows(block);
        if (result().passthrough_block().size() >= pgclient::kRowBlockBytes || block.row_in_progress) {
          co_await Deliver();
        }
        break;
      case pgwire::kRowDescription:
        co_await Deliver();
        fields_.Clear();
        AddFields(block.bytes, fields_);
        has_result_ = true;
        fields_given_ = false;
        break;
      case pgwire::kCommandComplete:
        co_await Complete(block.bytes);
        break;
      case pgwire::kErrorResponse:
        co_await DeliverInOrder();
        Fail(block);
        break;
      case pgwire::kNoticeResponse:
        co_await DeliverInOrder();
        co_await DeliverNotice(block);
        break;
      case pgwire::kParameterStatus:
        co_await DeliverParameter(block.bytes);
        break;
      case pgwire::kPortalSuspended:
        outcome_.suspended = true;
        break;
      case pgwire::kParseComplete:
        ++outcome_.parses_completed;
        break;
      case pgwire::kCopyInResponse:
        // COPY has a call of its own; one that comes here (inside a string of several statements) can't be fed.
        connection_.SendCopyFail("COPY FROM STDIN is not possible here");
        break;
      case pgwire::kCopyOutResponse:
        copy_out_ = true;
        break;
      default:
        break;
    }
  }

  void AddRows(const pgclient::Block& block) {
    if (!options_.passthrough) {
      AddDecodedRow(block.bytes);
      return;
    }
    auto& chunk = result();
    chunk.mutable_passthrough_block()->append(block.bytes);
    chunk.set_passthrough_row_count(chunk.passthrough_row_count() + block.rows);
    chunk.set_passthrough_row_in_progress(block.row_in_progress);
  }

  void AddDecodedRow(std::string_view body) {
    auto columns = pgwire::ReadDataRow(body);
    if (!columns) {
      if (outcome_.result) outcome_.result = std::unexpected(std::move(columns.error()));
      return;
    }
    auto* row = result().add_rows();
    for (const auto column : *columns) {
      row->add_lengths(column ? static_cast<std::int64_t>(column->size()) : -1);
      if (column) row->mutable_values()->append(*column);
    }
  }

  Awaitable<void> Complete(std::string_view body) {
    auto tag = pgwire::ReadCommandComplete(body);
    if (!tag) {
      if (outcome_.result) outcome_.result = std::unexpected(std::move(tag.error()));
      co_return;
    }
    if (options_.skip_completions > 0) {
      --options_.skip_completions;
      co_return;
    }
    if (std::exchange(copy_out_, false)) {
      if (outcome_.result) {
        outcome_.result = multigres::Fail(Code::kUnimplemented, "0A000",
                                          "COPY TO STDOUT in a string of several statements is not supported");
      }
      co_return;
    }
    outcome_.tag = *tag;
    auto& chunk = result();
    chunk.set_command_tag(outcome_.tag);
    chunk.set_rows_affected(RowsOfTag(outcome_.tag));
    co_await Deliver();
    has_result_ = false;
    fields_.Clear();
  }

  void Fail(const pgclient::Block& block) {
    auto error = pgclient::ErrorOf({block.type, block.bytes});
    if (timed_out_ && error.sqlstate() == mterrors::kQueryCanceled) error = mterrors::StatementTimeout();
    if (outcome_.result) outcome_.result = std::unexpected(std::move(error));
  }

  Awaitable<void> DeliverNotice(const pgclient::Block& block) {
    if (EndsSyncWait(block.bytes)) outcome_.unreplicated = true;
    auto diagnostic = pgwire::ReadDiagnostic(block.type, block.bytes);
    if (!diagnostic || options_.skip_completions > 0) co_return;
    ::query::QueryResultPayload payload;
    mterrors::ToProto(*diagnostic, *payload.mutable_diagnostic());
    co_await Give(payload);
  }

  Awaitable<void> DeliverParameter(std::string_view body) {
    auto parameter = pgwire::ReadParameterStatus(body);
    if (!parameter) co_return;
    ::query::QueryResultPayload payload;
    (*payload.mutable_result()->mutable_parameter_status())[mterrors::ToUtf8(std::string(parameter->name))] =
        mterrors::ToUtf8(std::string(parameter->value));
    co_await Deliver();
    co_await Give(payload);
  }

  // The chunk being built; it carries the result set's fields.
  ::query::QueryResult& result() {
    if (!pending_.has_result()) {
      auto* chunk = pending_.mutable_result();
      chunk->set_has_fields(has_result_);
      if (has_result_) *chunk->mutable_fields() = fields_.fields();
    }
    return *pending_.mutable_result();
  }

  bool HasPending() const { return pending_.has_result(); }

  Awaitable<void> Deliver() {
    // A result set without rows so far still has a description to show, but only its tag (or an error) ends the wait.
    if (!HasPending()) co_return;
    co_await Give(pending_);
    pending_.Clear();
  }

  // Before a notice or an error: the columns come first even if there is no row yet.
  Awaitable<void> DeliverInOrder() {
    if (has_result_ && !fields_given_) static_cast<void>(result());
    co_await Deliver();
  }

  Awaitable<void> Give(::query::QueryResultPayload& payload) {
    if (payload.has_result() && payload.result().has_fields()) fields_given_ = true;
    if (sink_error_) co_return;
    outcome_.delivered = true;
    auto given = co_await sink_.OnPayload(payload);
    if (!given) sink_error_ = std::move(given.error());
  }

  pgclient::Connection& connection_;
  queryservice::CallScope scope_;
  queryservice::ResultSink& sink_;
  PumpOptions options_;
  PumpResult outcome_;
  ::query::QueryResult fields_;
  ::query::QueryResultPayload pending_;
  bool has_result_ = false;
  bool fields_given_ = false;
  bool copy_out_ = false;
  bool cancelling_ = false;
  bool timed_out_ = false;
  Deadline drain_until_;
  std::optional<Error> sink_error_;
};

}  // namespace

Awaitable<PumpResult> PumpResults(pgclient::Connection& connection, queryservice::CallScope scope,
                                  queryservice::ResultSink& sink, PumpOptions options) {
  Pump pump(connection, scope, sink, options);
  co_return co_await pump.Run();
}

void AddFields(std::string_view row_description, ::query::QueryResult& result) {
  auto fields = pgwire::ReadRowDescription(row_description);
  if (!fields) return;
  for (const auto& field : *fields) {
    auto* added = result.add_fields();
    added->set_name(mterrors::ToUtf8(std::string(field.name)));
    added->set_table_oid(field.table_oid);
    added->set_table_attribute_number(field.column_number);
    added->set_data_type_oid(field.type_oid);
    added->set_data_type_size(field.type_size);
    added->set_type_modifier(field.type_modifier);
    added->set_format(field.format);
  }
  result.set_has_fields(true);
}

CollectingSink::CollectingSink() : result_(std::make_unique<::query::QueryResult>()) {}
CollectingSink::~CollectingSink() = default;

Awaitable<Result<>> CollectingSink::OnPayload(::query::QueryResultPayload& payload) {
  if (payload.has_diagnostic()) {
    *result_->add_notices() = std::move(*payload.mutable_diagnostic());
    co_return Result<>{};
  }
  if (!payload.has_result()) co_return Result<>{};
  auto& chunk = *payload.mutable_result();
  for (const auto& [name, value] : chunk.parameter_status()) (*result_->mutable_parameter_status())[name] = value;
  if (complete_) co_return Result<>{};
  if (chunk.has_fields() && !result_->has_fields()) {
    result_->set_has_fields(true);
    *result_->mutable_fields() = std::move(*chunk.mutable_fields());
  }
  for (auto& row : *chunk.mutable_rows()) {
    if (max_rows_ != 0 && static_cast<std::uint64_t>(result_->rows_size()) >= max_rows_) break;
    *result_->add_rows() = std::move(row);
  }
  if (!chunk.command_tag().empty()) {
    result_->set_command_tag(chunk.command_tag());
    result_->set_rows_affected(chunk.rows_affected());
    complete_ = true;
  }
  co_return Result<>{};
}

std::unique_ptr<::query::QueryResult> CollectingSink::Take() {
  return std::move(result_);
}

}  // namespace multigres::pooler::executor
