#include "services/multigateway/handler/login.h"

#include <algorithm>
#include <array>

#include "multipoolerservice.pb.h"
#include "services/multigateway/session/client_encoding.h"

namespace multigres::gateway::handler {

namespace {

using session::FoldName;
using session::GatewayVariable;

std::string Upper(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return upper;
}

std::string Lower(std::string_view text) {
  return FoldName(text);
}

// Encoding names compare by their letters and digits alone (pg_char_to_encoding).
std::string CanonicalEncoding(std::string_view value) {
  std::string bare;
  for (const char c : Lower(value)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) bare.push_back(c);
  }
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames = {{{"utf8", "UTF8"},
                                                                                            {"unicode", "UTF8"},
                                                                                            {"sqlascii", "SQL_ASCII"},
                                                                                            {"latin1", "LATIN1"},
                                                                                            {"iso88591", "LATIN1"},
                                                                                            {"latin2", "LATIN2"},
                                                                                            {"iso88592", "LATIN2"},
                                                                                            {"latin9", "LATIN9"},
                                                                                            {"iso885915", "LATIN9"},
                                                                                            {"win1250", "WIN1250"},
                                                                                            {"win1251", "WIN1251"},
                                                                                            {"win1252", "WIN1252"},
                                                                                            {"eucjp", "EUC_JP"},
                                                                                            {"sjis", "SJIS"}}};
  for (const auto& [name, canonical] : kNames) {
    if (bare == name) return std::string(canonical);
  }
  return Upper(value);
}

// "style, order": each may be given alone, the other keeps the server's.
std::string CanonicalDateStyle(std::string_view value, std::string_view server_value) {
  const auto comma = server_value.find(", ");
  std::string style(server_value.substr(0, comma));
  bool order_given = false;
  std::string order(comma == std::string_view::npos ? "MDY" : server_value.substr(comma + 2));
  std::string word;
  const std::string text = Lower(value) + ",";
  for (const char c : text) {
    if (c != ',' && c != ' ') {
      word.push_back(c);
      continue;
    }
    if (word == "iso") style = "ISO";
    if (word == "sql") style = "SQL";
    if (word.starts_with("postgres")) style = "Postgres";
    if (word == "german") style = "German";
    // German dates have their own order, unless another is asked for.
    if (word == "german" && !order_given) order = "DMY";
    std::string_view asked;
    if (word == "ymd") asked = "YMD";
    if (word == "mdy" || word == "us" || word.starts_with("noneuro")) asked = "MDY";
    if (word == "dmy" || word.starts_with("euro")) asked = "DMY";
    if (!asked.empty()) {
      order = asked;
      order_given = true;
    }
    word.clear();
  }
  return style + ", " + order;
}

bool IsBoolean(std::string_view value) {
  return value == "on" || value == "off";
}

std::string CanonicalBoolean(std::string_view value) {
  std::string text = Lower(value);
  const auto prefix_of = [&](std::string_view word) { return !text.empty() && word.starts_with(text); };
  if (prefix_of("true") || prefix_of("yes") || text == "on" || text == "1") return "on";
  if (prefix_of("false") || prefix_of("no") || text == "off" || text == "of" || text == "0") return "off";
  return text;
}

Result<> CheckAllowed(std::string_view folded, std::string_view value) {
  if (folded == "client_encoding" && session::IsLexingUnsafeEncoding(value)) {
    return Fail(Code::kUnimplemented, "0A000",
                "client_encoding \"" + std::string(value) + "\" is not supported through the connection pooler");
  }
  if (folded == "synchronous_commit") {
    return Fail(
        Code::kUnimplemented, "0A000",
        "setting synchronous_commit is not supported: it is what keeps acknowledged commits through a failover");
  }
  if (folded == "search_path" && Lower(value).find("pg_temp") != std::string::npos) {
    return Fail(Code::kUnimplemented, "0A000",
                "pg_temp in search_path is not supported under connection pooling: temporary objects belong to one "
                "backend");
  }
  return {};
}

// True if the setting is one of the gateway's own; it is taken then, or ignored if it makes no sense.
bool TakeGatewayVariable(std::string_view folded, std::string_view value, std::array<std::int32_t, 2>& defaults,
                         std::vector<std::string>& ignored) {
  const auto variable = session::FindGatewayVariable(folded);
  if (!variable) return false;
  auto milliseconds = session::ParseMilliseconds(*variable, value);
  if (milliseconds) {
    defaults[static_cast<std::size_t>(*variable)] = *milliseconds;
  } else {
    ignored.emplace_back(folded);
  }
  return true;
}

}  // namespace

std::string CanonicalReport(std::string_view folded_name, std::string_view value, std::string_view server_value) {
  if (folded_name == "client_encoding") return CanonicalEncoding(value);
  if (folded_name == "datestyle") return CanonicalDateStyle(value, server_value);
  if (folded_name == "intervalstyle") return Lower(value);
  if (IsBoolean(server_value)) return CanonicalBoolean(value);
  return std::string(value);
}

Result<StartingPoint> MakeStartingPoint(const listener::StartupRequest& request,
                                        const multipoolerservice::GetAuthCredentialsResponse& credentials,
                                        std::int32_t default_statement_timeout_ms, bool target_replica) {
  StartingPoint point;
  for (const auto& [name, value] : credentials.parameter_status()) point.reported.emplace(name, value);
  point.reported["in_hot_standby"] = target_replica ? "on" : "off";
  std::array<std::int32_t, 2> defaults = {default_statement_timeout_ms, 0};
  std::vector<session::Settings::Entry> entries;
  for (const auto& [name, value] : request.settings) {
    const std::string folded = FoldName(name);
    auto allowed = CheckAllowed(folded, value);
    if (!allowed) return std::unexpected(std::move(allowed.error()));
    if (TakeGatewayVariable(folded, value, defaults, point.ignored)) continue;
    entries.emplace_back(name, value);
    for (auto& [reported, shown] : point.reported) {
      if (FoldName(reported) == folded) shown = CanonicalReport(folded, value, shown);
    }
  }
  point.settings = session::Settings::Make(std::move(entries));
  point.variables = session::GatewayVariables(defaults[static_cast<std::size_t>(GatewayVariable::kStatementTimeout)],
                                              defaults[static_cast<std::size_t>(GatewayVariable::kIdleSessionTimeout)]);
  return point;
}

}  // namespace multigres::gateway::handler
