#include "services/multipooler/executor/statement.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "common/mterrors/conditions.h"
#include "common/pgclient/query.h"
#include "query.pb.h"

namespace multigres::pooler::executor {

namespace {

// A portal that exists only to be described.
constexpr std::string_view kDescribed = "multigres_described";

std::vector<std::uint16_t> Formats(const google::protobuf::RepeatedField<std::int32_t>& formats) {
  return {formats.begin(), formats.end()};
}

std::vector<std::optional<std::string_view>> Parameters(const ::query::Portal& portal) {
  std::vector<std::optional<std::string_view>> parameters;
  parameters.reserve(static_cast<std::size_t>(portal.param_lengths_size()));
  std::string_view rest = portal.param_values();
  for (const std::int64_t length : portal.param_lengths()) {
    if (length < 0) {
      parameters.emplace_back(std::nullopt);
      continue;
    }
    // Lengths beyond the values were refused when the request came in.
    const auto size = std::min(rest.size(), static_cast<std::size_t>(length));
    parameters.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return parameters;
}

}  // namespace

bool MayPrepareTransaction(std::string_view sql) {
  const auto is_same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  constexpr std::string_view kFirst = "prepare";
  constexpr std::string_view kSecond = "transaction";
  const auto prepare = std::ranges::search(sql, kFirst, is_same);
  return !std::ranges::search(std::ranges::subrange(prepare.end(), sql.end()), kSecond, is_same).empty();
}

void SendBind(connpool::Backend& backend, const ::query::Portal& portal, std::string_view portal_name,
              std::string_view statement_name) {
  const auto parameter_formats = Formats(portal.param_formats());
  const auto result_formats = Formats(portal.result_formats());
  const auto parameters = Parameters(portal);
  backend.connection->SendBind({.portal = portal_name,
                                .statement = statement_name,
                                .parameter_formats = parameter_formats,
                                .result_formats = result_formats},
                               parameters);
}

void SimpleStatement::Send(connpool::Backend& backend, bool after_begin) {
  backend.connection->SendQuery(sql_);
  // If BEGIN fails the server skips the query, up to this.
  if (after_begin) backend.connection->SendSync();
}

NamedStatement::NamedStatement(connpool::StatementNames& names, const ::query::PreparedStatement& statement)
    : statement_(statement),
      name_(names.NameOf(statement.query(),
                         {statement.param_types().data(), static_cast<std::size_t>(statement.param_types_size())})) {}

void NamedStatement::SendParse(connpool::Backend& backend) {
  parsing_ = !backend.prepared.Touch(name_);
  if (!parsing_) return;
  for (const auto& evicted : std::exchange(backend.to_close, {})) backend.connection->SendClose('S', evicted);
  backend.connection->SendParse(
      name_, statement_.query(),
      {statement_.param_types().data(), static_cast<std::size_t>(statement_.param_types_size())});
}

void NamedStatement::Finished(connpool::Backend& backend, const PumpResult& pumped) {
  if (!parsing_ || static_cast<std::size_t>(pumped.parses_completed) <= parses_before) return;
  if (auto evicted = backend.prepared.Add(name_)) backend.to_close.push_back(std::move(*evicted));
}

void SqlExecuteStatement::Send(connpool::Backend& backend, bool after_begin) {
  SendParse(backend);
  if (backend.connection->pipeline().size() > 0) {
    // A failed Parse makes the server skip the query, up to the Sync.
    backend.connection->SendQuery(prefix_ + pgclient::QuoteIdentifier(name()) + suffix_);
    backend.connection->SendSync();
    return;
  }
  backend.connection->SendQuery(prefix_ + pgclient::QuoteIdentifier(name()) + suffix_);
}

void UnnamedParseStatement::Send(connpool::Backend& backend, bool after_begin) {
  backend.connection->SendParse(
      "", statement_.query(),
      {statement_.param_types().data(), static_cast<std::size_t>(statement_.param_types_size())});
  backend.connection->SendSync();
}

void PortalStatement::Send(connpool::Backend& backend, bool after_begin) {
  if (!options_.resume) {
    SendParse(backend);
    // One that the client has closed, or read to its end, and bound anew lives on here till its transaction ends.
    if (portal_is_open) backend.connection->SendClose('P', portal_.name());
    SendBind(backend, portal_, portal_.name(), name());
  }
  if (options_.describe) backend.connection->SendDescribe('P', portal_.name());
  backend.connection->SendExecute(portal_.name(), static_cast<std::int32_t>(options_.max_rows));
  if (options_.hold_sync) {
    backend.connection->SendFlush();
  } else {
    backend.connection->SendSync();
  }
}

bool PortalStatement::RetryOnSameConnection(connpool::Backend& backend, const PumpResult& pumped) {
  if (retried_ || pumped.result || pumped.delivered || options_.resume) return false;
  const Error& error = pumped.result.error();
  if (error.sqlstate() != "0A000" || error.message() != "cached plan must not change result type") return false;
  retried_ = true;
  backend.prepared.Remove(name());
  backend.connection->SendClose('S', name());
  return true;
}

void DescribeStatement::Send(connpool::Backend& backend, bool after_begin) {
  SendParse(backend);
  if (portal_ != nullptr) {
    // Not under its own name, which it may have here already or is to be given when it runs.
    SendBind(backend, *portal_, kDescribed, name());
    backend.connection->SendDescribe('P', kDescribed);
    backend.connection->SendClose('P', kDescribed);
  } else {
    backend.connection->SendDescribe('S', name());
  }
  backend.connection->SendSync();
}

Awaitable<Description> ReadDescription(pgclient::Connection& connection, queryservice::CallScope scope) {
  Description description;
  auto& described = *description.response->mutable_description();
  std::optional<Error> failure;
  while (connection.pipeline().size() > 0) {
    auto message = co_await connection.NextReply({scope.deadline, scope.cancel});
    if (!message) {
      failure = std::move(message.error());
      if (pgclient::IsInterrupted(*failure)) {
        const bool timed_out = failure->code() == Code::kDeadlineExceeded ||
                               (scope.cancel != nullptr && scope.cancel->reason() == CancelReason::kDeadline);
        failure = timed_out ? mterrors::StatementTimeout() : mterrors::CanceledByUser();
      }
      connection.Close();
      break;
    }
    switch (message->type) {
      case pgwire::kParseComplete:
        ++description.parses_completed;
        break;
      case pgwire::kParameterDescription:
        if (auto types = pgwire::ReadParameterDescription(message->body)) {
          for (std::size_t i = 0; i < types->size(); ++i) described.add_parameters()->set_data_type_oid((*types)[i]);
        }
        break;
      case pgwire::kRowDescription: {
        ::query::QueryResult fields;
        AddFields(message->body, fields);
        *described.mutable_fields() = std::move(*fields.mutable_fields());
        described.set_has_fields(true);
        break;
      }
      case pgwire::kErrorResponse:
        if (!failure) failure = pgclient::ErrorOf(*message);
        break;
      default:
        break;
    }
  }
  if (failure) description.response = std::unexpected(std::move(*failure));
  co_return description;
}

}  // namespace multigres::pooler::executor
