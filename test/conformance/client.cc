#include "test/conformance/client.h"

#include <fmt/format.h>

#include "tools/result/check.h"

namespace multigres::conformance {
namespace {

constexpr const char* kReported[] = {"application_name",
                                     "client_encoding",
                                     "DateStyle",
                                     "IntervalStyle",
                                     "TimeZone",
                                     "standard_conforming_strings",
                                     "default_transaction_read_only",
                                     "session_authorization",
                                     "server_version",
                                     "server_encoding",
                                     "integer_datetimes",
                                     "is_superuser",
                                     "in_hot_standby"};

std::string Text(const char* text) {
  return text == nullptr ? "" : text;
}

std::string Diagnostic(const PGresult* result) {
  return fmt::format("{} {} {}{}{}{}\n", Text(PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED)),
                     Text(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                     Text(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)),
                     fmt::format(" detail<{}>", Text(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL))),
                     fmt::format(" hint<{}>", Text(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT))),
                     fmt::format(" at<{}>", Text(PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION))));
}

std::string Rows(const PGresult* result) {
  std::string text;
  for (int column = 0; column < PQnfields(result); column++) {
    text += fmt::format("{}:{} ", PQfname(result, column), PQftype(result, column));
  }
  text += "\n";
  for (int row = 0; row < PQntuples(result); row++) {
    for (int column = 0; column < PQnfields(result); column++) {
      text += PQgetisnull(result, row, column) ? "<null> " : fmt::format("{} ", PQgetvalue(result, row, column));
    }
    text += "\n";
  }
  return text;
}

}  // namespace

Client::Client(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
  CHECK(PQstatus(connection_) == CONNECTION_OK, PQerrorMessage(connection_));
  PQsetNoticeReceiver(connection_, &Client::OnNotice, this);
  for (const char* name : kReported) parameters_.push_back(Text(PQparameterStatus(connection_, name)));
}

Client::~Client() {
  PQfinish(connection_);
}

void Client::OnNotice(void* self, const PGresult* result) {
  static_cast<Client*>(self)->notices_ += "notice " + Diagnostic(result);
}

std::string Client::Collect(const std::string& copy_input) {
  std::string seen;
  while (PGresult* result = PQgetResult(connection_)) {
    ExecStatusType status = PQresultStatus(result);
    seen += std::exchange(notices_, {});
    seen += PQresStatus(status);
    seen += ' ';
    if (status == PGRES_COPY_IN) {
      if (!copy_input.empty()) PQputCopyData(connection_, copy_input.data(), static_cast<int>(copy_input.size()));
      PQputCopyEnd(connection_, nullptr);
    } else if (status == PGRES_COPY_OUT) {
      char* data = nullptr;
      int length = 0;
      while ((length = PQgetCopyData(connection_, &data, 0)) > 0) {
        seen += fmt::format("[{}]", std::string_view(data, static_cast<std::size_t>(length)));
        PQfreemem(data);
      }
    } else if (status == PGRES_FATAL_ERROR) {
      seen += Diagnostic(result);
    } else {
      seen += fmt::format("{} {}", PQcmdStatus(result), Rows(result));
    }
    PQclear(result);
    if (PQstatus(connection_) == CONNECTION_BAD) break;
  }
  return seen;
}

std::string Client::Finish(std::string seen) {
  seen += std::exchange(notices_, {});
  for (std::size_t i = 0; i < parameters_.size(); i++) {
    std::string now = Text(PQparameterStatus(connection_, kReported[i]));
    if (now != parameters_[i]) seen += fmt::format("parameter {} = {}\n", kReported[i], now);
    parameters_[i] = std::move(now);
  }
  static constexpr const char* kStatus[] = {"idle", "active", "in block", "failed", "unknown"};
  seen += fmt::format("-- {}\n", kStatus[PQtransactionStatus(connection_)]);
  return seen;
}

std::string Client::Query(const std::string& sql, const std::string& copy_input) {
  PQsendQuery(connection_, sql.c_str());
  return Finish(Collect(copy_input));
}

std::string Client::Extended(const std::string& sql, const std::vector<std::string>& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const std::string& param : params) values.push_back(param.c_str());
  PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr,
                    0);
  return Finish(Collect(""));
}

std::string Client::Prepare(const std::string& name, const std::string& sql) {
  PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr);
  return Finish(Collect(""));
}

std::string Client::ExecutePrepared(const std::string& name, const std::vector<std::string>& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const std::string& param : params) values.push_back(param.c_str());
  PQsendQueryPrepared(connection_, name.c_str(), static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0);
  return Finish(Collect(""));
}

std::string Client::Pipeline(const std::vector<std::string>& statements) {
  PQenterPipelineMode(connection_);
  for (const std::string& sql : statements) {
    PQsendQueryParams(connection_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
  }
  PQpipelineSync(connection_);
  std::string seen;
  for (bool synced = false; !synced && PQstatus(connection_) == CONNECTION_OK;) {
    PGresult* result = PQgetResult(connection_);
    if (result == nullptr) continue;  // between two statements
    ExecStatusType status = PQresultStatus(result);
    seen += fmt::format("{} ", PQresStatus(status));
    if (status == PGRES_FATAL_ERROR) {
      seen += Diagnostic(result);
    } else if (status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED) {
      seen += fmt::format("{} {}", PQcmdStatus(result), Rows(result));
    }
    synced = status == PGRES_PIPELINE_SYNC;
    PQclear(result);
  }
  PQexitPipelineMode(connection_);
  return Finish(std::move(seen));
}

}  // namespace multigres::conformance
