#include "common/pgwire/diagnostic.h"

#include <charconv>

#include "common/pgwire/protocol.h"
#include "common/pgwire/wire_reader.h"

namespace multigres::pgwire {

namespace {

std::int32_t ParsePosition(std::string_view digits) {
  std::int32_t position = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), position);
  return position > 0 ? position : 0;
}

void Store(PgDiagnostic& diagnostic, char field, std::string_view value) {
  switch (field) {
    case 'V':
      diagnostic.severity = value;
      break;
    case 'S':
      if (diagnostic.severity.empty()) diagnostic.severity = value;
      break;
    case 'C':
      diagnostic.code = value;
      break;
    case 'M':
      diagnostic.message = value;
      break;
    case 'D':
      diagnostic.detail = value;
      break;
    case 'H':
      diagnostic.hint = value;
      break;
    case 'P':
      diagnostic.position = ParsePosition(value);
      break;
    case 'p':
      diagnostic.internal_position = ParsePosition(value);
      break;
    case 'q':
      diagnostic.internal_query = value;
      break;
    case 'W':
      diagnostic.where = value;
      break;
    case 's':
      diagnostic.schema_name = value;
      break;
    case 't':
      diagnostic.table_name = value;
      break;
    case 'c':
      diagnostic.column_name = value;
      break;
    case 'd':
      diagnostic.data_type_name = value;
      break;
    case 'n':
      diagnostic.constraint_name = value;
      break;
    default:
      break;
  }
}

void WriteField(WireWriter& out, char field, std::string_view value) {
  if (value.empty()) return;
  out.Byte(field);
  out.CString(value);
}

void WritePosition(WireWriter& out, char field, std::int32_t position) {
  if (position > 0) WriteField(out, field, std::to_string(position));
}

}  // namespace

Result<PgDiagnostic> ReadDiagnostic(char type, std::string_view body) {
  PgDiagnostic diagnostic;
  diagnostic.message_type = type;
  WireReader reader(body);
  while (true) {
    const char field = static_cast<char>(reader.Byte());
    if (field == '\0') break;
    Store(diagnostic, field, reader.CString());
  }
  auto done = reader.Done(type == kNoticeResponse ? "NoticeResponse" : "ErrorResponse");
  if (!done) return std::unexpected(std::move(done.error()));
  return diagnostic;
}

void WriteDiagnostic(WireWriter& out, const PgDiagnostic& diagnostic) {
  out.Begin(diagnostic.message_type == kNoticeResponse ? kNoticeResponse : kErrorResponse);
  WriteField(out, 'S', diagnostic.severity);
  WriteField(out, 'V', diagnostic.severity);
  WriteField(out, 'C', diagnostic.code);
  // A frontend insists on M, even an empty one.
  out.Byte('M');
  out.CString(diagnostic.message);
  WriteField(out, 'D', diagnostic.detail);
  WriteField(out, 'H', diagnostic.hint);
  WritePosition(out, 'P', diagnostic.position);
  WritePosition(out, 'p', diagnostic.internal_position);
  WriteField(out, 'q', diagnostic.internal_query);
  WriteField(out, 'W', diagnostic.where);
  WriteField(out, 's', diagnostic.schema_name);
  WriteField(out, 't', diagnostic.table_name);
  WriteField(out, 'c', diagnostic.column_name);
  WriteField(out, 'd', diagnostic.data_type_name);
  WriteField(out, 'n', diagnostic.constraint_name);
  out.Byte('\0');
  out.End();
}

PgDiagnostic DiagnosticOf(const Error& error, std::string_view severity) {
  if (error.diagnostic()) return *error.diagnostic();
  PgDiagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.code = error.sqlstate().empty() ? "XX000" : error.sqlstate();
  diagnostic.message = error.message();
  return diagnostic;
}

bool EndsSession(const PgDiagnostic& diagnostic) {
  return diagnostic.severity == "FATAL" || diagnostic.severity == "PANIC";
}

bool IsConnectionState(std::string_view sqlstate) {
  return sqlstate.starts_with("08") || sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03" ||
         sqlstate == "57P05";
}

bool IsConnectionError(const Error& error) {
  if (!error.sqlstate().empty()) return IsConnectionState(error.sqlstate());
  return error.code() == Code::kUnavailable;
}

}  // namespace multigres::pgwire
