#include <fmt/format.h>

#include "common/mterrors/conditions.h"
#include "services/multigateway/executor/fake_pooler.h"
#include "services/multigateway/session/reservation.h"

namespace multigres::gateway::executor {

using queryservice::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::ResultSink;

namespace {

Error Division() {
  return Error::FromDiagnostic({.severity = "ERROR", .code = "22012", .message = "division by zero", .position = 3});
}

// The value that a probe or a set_config asks for: the second quoted string.
std::optional<std::string> SetConfigValue(const std::string& sql) {
  if (sql.find("set_config(") == std::string::npos) return std::nullopt;
  std::vector<std::string> parts;
  for (std::size_t at = 0; (at = sql.find('\'', at)) != std::string::npos;) {
    std::size_t end = sql.find('\'', at + 1);
    parts.push_back(sql.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return parts.size() >= 2 ? parts[1] : "";
}

std::string DataRow(const std::string& value) {
  std::string frame = "D";
  auto put32 = [&frame](std::uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(n >> shift));
  };
  put32(static_cast<std::uint32_t>(4 + 2 + 4 + value.size()));
  frame += std::string("\0\1", 2);
  put32(static_cast<std::uint32_t>(value.size()));
  return frame + value;
}

class FakeCopy final : public queryservice::CopyStream {
 public:
  FakeCopy(FakePooler& pooler, bool from_stdin, std::unique_ptr<::query::ReservedState> state)
      : pooler_(pooler), from_stdin_(from_stdin), state_(std::move(state)) {}
  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override {
    using Request = multipoolerservice::CopyBidiExecuteRequest;
    if (message.phase() == Request::DATA) pooler_.copied.push_back(message.data());
    failed_ = message.phase() == Request::FAIL;
    if (pooler_.copy_failure) lost_ = std::exchange(pooler_.copy_failure, std::nullopt);
    if (lost_) co_return std::unexpected(*lost_);
    co_return Result<>();
  }
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override {
    using Response = multipoolerservice::CopyBidiExecuteResponse;
    message.Clear();
    if (lost_) co_return std::unexpected(*lost_);
    if (state_) *message.mutable_reserved_state() = *state_;
    step_++;
    if (step_ == 1) {
      message.set_phase(Response::READY);
      message.add_column_formats(0);
    } else if (failed_) {
      message.set_phase(Response::ERROR);
      message.mutable_error_diagnostic()->set_severity("ERROR");
      message.mutable_error_diagnostic()->set_code("57014");
      message.mutable_error_diagnostic()->set_message("COPY from stdin failed: x");
      if (step_ > 2) co_return Fail(Code::kAborted, "57014", "COPY from stdin failed: x");
    } else if (!from_stdin_ && step_ < 4) {
      message.set_phase(Response::DATA);
      message.set_data(fmt::format("{}\n", step_));
    } else {
      message.set_phase(Response::RESULT);
      message.mutable_result()->set_command_tag("COPY 2");
    }
    co_return true;
  }

 private:
  FakePooler& pooler_;
  bool from_stdin_;
  std::unique_ptr<::query::ReservedState> state_;
  bool failed_ = false;
  std::optional<Error> lost_;
  int step_ = 0;
};

}  // namespace

Result<queryservice::QueryService*> FakePooler::QueryServiceFor(const ::query::Target& target) {
  if (!unavailable) return this;
  return std::unexpected(target.pooler_type() == clustermetadata::PRIMARY ? mterrors::NoWritablePrimary()
                                                                          : mterrors::NoReplica());
}

queryservice::QueryService* FakePooler::QueryServiceByID(std::string_view pooler_id) {
  return pooler_id == "multipooler-zone1-p" ? this : nullptr;
}

std::unique_ptr<::query::ReservedState> FakePooler::State() const {
  if (backend_ == 0) return nullptr;
  auto state = std::make_unique<::query::ReservedState>();
  state->set_reserved_connection_id(backend_);
  state->set_reservation_reasons(reasons_);
  state->mutable_pooler_id()->set_component(clustermetadata::ID::MULTIPOOLER);
  state->mutable_pooler_id()->set_cell("zone1");
  state->mutable_pooler_id()->set_name("p");
  return state;
}

Result<> FakePooler::Take(std::string line, const std::string& sql, const ::query::ExecuteOptions& options,
                          const ::query::ReservationOptions& reservation) {
  if (!reservation.begin_query().empty()) line += fmt::format(" begin'{}'", reservation.begin_query());
  if (reservation.reasons() != 0) line += fmt::format(" reasons={}", reservation.reasons());
  if (options.reserved_connection_id() != 0) line += fmt::format(" on {}", options.reserved_connection_id());
  for (const auto& name : reservation.pin_portal_names()) line += fmt::format(" pin({})", name);
  for (const auto& name : reservation.release_portal_names()) line += fmt::format(" release({})", name);
  std::map<std::string, std::string> settings(options.session_settings().begin(), options.session_settings().end());
  for (const auto& [name, value] : settings) line += fmt::format(" {}={}", name, value);
  log_.push_back(std::move(line));
  if (!failures.empty()) {
    Error failure = std::move(failures.front());
    failures.pop_front();
    return std::unexpected(std::move(failure));
  }
  if (options.reserved_connection_id() != 0 && (backend_killed_ || options.reserved_connection_id() != backend_)) {
    backend_ = 0;
    reasons_ = 0;
    backend_killed_ = false;
    return std::unexpected(mterrors::ReservedConnectionTerminated(options.reserved_connection_id()));
  }
  if (reservation.reasons() != 0 && backend_ == 0) backend_ = next_id_++;
  if (backend_ != 0) reasons_ |= reservation.reasons();
  if (sql.starts_with("fail")) return std::unexpected(Division());
  if (!reservation.release_portal_names().empty()) reasons_ &= ~session::reason::kPortal;
  if (reasons_ == 0) backend_ = 0;
  return {};
}

std::string FakePooler::TagOf(const std::string& sql) const {
  for (const auto& [text, tag] : tags) {
    if (sql.starts_with(text)) return tag;
  }
  return "SELECT 1";
}

Awaitable<ExecuteOutcome> FakePooler::StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                    CallScope /*scope*/, ResultSink& sink) {
  last_query = request;
  std::string sql = request.query();
  if (request.options().has_execute_sql_prepared_statement()) {
    const auto& wrapper = request.options().execute_sql_prepared_statement();
    sql = fmt::format("{}[{}]{}", wrapper.sql_prefix(), wrapper.prepared_statement().query(), wrapper.sql_suffix());
  }
  auto taken = Take(fmt::format("query '{}'", sql), sql, request.options(), request.reservation_options());
  if (!taken) co_return ExecuteOutcome(std::move(taken), State());
  ::query::QueryResultPayload payload;
  auto& result = *payload.mutable_result();
  std::string tag = TagOf(sql);
  if (tag.starts_with("SELECT")) {
    result.set_has_fields(true);
    result.add_fields()->set_name("a");
    std::string value = SetConfigValue(sql).value_or("1");
    if (request.options().passthrough_row()) {
      result.set_passthrough_block(DataRow(value));
      result.set_passthrough_row_count(1);
    } else {
      result.add_rows()->add_lengths(static_cast<std::int64_t>(value.size()));
      result.mutable_rows(0)->set_values(value);
    }
  }
  result.set_command_tag(tag);
  auto delivered = co_await sink.OnPayload(payload);
  co_return ExecuteOutcome(std::move(delivered), State());
}

Awaitable<ExecuteOutcome> FakePooler::PortalStreamExecute(const multipoolerservice::PortalStreamExecuteRequest& request,
                                                          CallScope /*scope*/, ResultSink& sink) {
  last_portal = request;
  const std::string& sql = request.prepared_statement().query();
  std::string line = fmt::format("portal '{}'", sql);
  if (request.portal_options().include_describe()) line += " describe";
  if (request.portal_options().resume()) line += " resume";
  std::uint64_t limit = request.options().max_rows();
  if (limit != 0) line += fmt::format(" max={}", limit);
  auto taken = Take(std::move(line), sql, request.options(), request.reservation_options());
  if (!taken) co_return ExecuteOutcome(std::move(taken), State());
  ::query::QueryResultPayload payload;
  auto& result = *payload.mutable_result();
  if (request.portal_options().include_describe()) {
    result.set_has_fields(true);
    result.add_fields()->set_name("a");
  }
  int rows = limit == 0 ? 1 : std::min<int>(portal_rows, static_cast<int>(limit));
  for (int i = 0; i < rows; i++) result.mutable_passthrough_block()->append(DataRow("1"));
  result.set_passthrough_row_count(static_cast<std::uint32_t>(rows));
  if (limit != 0) portal_rows -= rows;
  bool suspended = limit != 0 && portal_rows > 0;
  if (!suspended) result.set_command_tag(TagOf(sql));
  if (suspended) {
    if (backend_ == 0) backend_ = next_id_++;
    reasons_ |= session::reason::kPortal;
  } else {
    reasons_ &= ~session::reason::kPortal;
  }
  if (reasons_ == 0) backend_ = 0;
  auto delivered = co_await sink.OnPayload(payload);
  co_return ExecuteOutcome(std::move(delivered), State());
}

Awaitable<Result<multipoolerservice::DescribeResponse>> FakePooler::Describe(
    const multipoolerservice::DescribeRequest& request, CallScope /*scope*/) {
  const std::string& sql = request.prepared_statement().query();
  std::string line = fmt::format("describe{} '{}'", request.has_portal() ? " portal" : "", sql);
  for (auto type : request.prepared_statement().param_types()) line += fmt::format(" ${}", type);
  auto taken = Take(std::move(line), sql, request.options(), {});
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  if (sql.starts_with("selekt")) {
    co_return std::unexpected(Error::FromDiagnostic(
        {.severity = "ERROR", .code = "42601", .message = "syntax error at or near \"selekt\"", .position = 1}));
  }
  if (sql.find("boom") != std::string::npos) {
    co_return std::unexpected(Error::FromDiagnostic(
        {.severity = "ERROR", .code = "42703", .message = "column \"boom\" does not exist", .position = 8}));
  }
  multipoolerservice::DescribeResponse response;
  response.mutable_description()->set_has_fields(true);
  response.mutable_description()->add_fields()->set_name("a");
  response.mutable_description()->add_parameters()->set_data_type_oid(23);
  co_return response;
}

Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> FakePooler::CopyBidiExecute(
    const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope /*scope*/) {
  bool from_stdin = initiate.direction() == multipoolerservice::CopyBidiExecuteRequest::FROM_STDIN;
  // It holds a backend while it runs, which the fake doesn't keep.
  auto options = initiate.reservation_options();
  options.set_reasons(options.reasons() & ~session::reason::kCopy);
  auto taken = Take(fmt::format("copy '{}'", initiate.query()), initiate.query(), initiate.options(), options);
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  co_return std::make_unique<FakeCopy>(*this, from_stdin, State());
}

Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> FakePooler::ConcludeTransaction(
    const multipoolerservice::ConcludeTransactionRequest& request, CallScope /*scope*/) {
  bool commit = request.conclusion() == multipoolerservice::TRANSACTION_CONCLUSION_COMMIT;
  std::string line = commit ? "COMMIT" : "ROLLBACK";
  if (request.chain()) line += " AND CHAIN";
  ::query::ReservationOptions released;
  // As the contract has it: a COMMIT unpins none.
  if (!commit) *released.mutable_release_portal_names() = request.release_portal_names();
  auto taken = Take(std::move(line), "", request.options(), released);
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  bool failed = commit && std::exchange(fail_commit, false);
  if (!request.chain() || failed) reasons_ &= ~session::reason::kTransaction;
  if (!commit || failed) reasons_ &= ~session::reason::kPortal;
  if (reasons_ == 0) backend_ = 0;
  if (failed) {
    co_return std::unexpected(
        Error::FromDiagnostic({.severity = "ERROR", .code = "23503", .message = "violates foreign key constraint"}));
  }
  multipoolerservice::ConcludeTransactionResponse response;
  response.mutable_result()->set_command_tag(commit ? "COMMIT" : "ROLLBACK");
  if (auto state = State()) *response.mutable_reserved_state() = *state;
  co_return response;
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> FakePooler::DiscardTempTables(
    const multipoolerservice::DiscardTempTablesRequest& request, CallScope /*scope*/) {
  auto taken = Take("DISCARD TEMP", "", request.options(), {});
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  reasons_ &= ~session::reason::kTempTable;
  if (reasons_ == 0) backend_ = 0;
  multipoolerservice::DiscardTempTablesResponse response;
  response.mutable_result()->set_command_tag("DISCARD TEMP");
  if (auto state = State()) *response.mutable_reserved_state() = *state;
  co_return response;
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> FakePooler::ReleaseReservedConnection(
    const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope /*scope*/) {
  auto taken = Take("release", "", request.options(), {});
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  reasons_ = 0;
  backend_ = 0;
  co_return multipoolerservice::ReleaseReservedConnectionResponse();
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> FakePooler::GetAuthCredentials(
    const multipoolerservice::GetAuthCredentialsRequest& /*request*/, CallScope /*scope*/) {
  co_return Fail(Code::kUnimplemented, "not of this fake");
}

}  // namespace multigres::gateway::executor
