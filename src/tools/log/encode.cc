#include "tools/log/encode.h"

#include <cmath>
#include <ctime>

namespace multigres {

namespace {

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "ERROR";
}

// Length of the UTF-8 sequence at the begin of `text`, 0 if it is none (RFC 3629: no overlong forms, no surrogates).
std::size_t Utf8Length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const unsigned first = at(0);
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && at(1) < 0xA0) return 0;
    if (first == 0xED && at(1) > 0x9F) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// A JSON string literal; logfmt's quoted values use the same escapes.
void AppendQuoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0) {
      out.append("\\ufffd");
      ++i;
      continue;
    }
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out.append(text.substr(i, length));
    }
    i += length;
  }
  out.push_back('"');
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F || (c & 0x80) != 0) {
      return true;
    }
  }
  return false;
}

void AppendText(std::string& out, LogFormat format, std::string_view text) {
  if (format == LogFormat::kText && !NeedsQuotes(text)) {
    out.append(text);
  } else {
    AppendQuoted(out, text);
  }
}

void AppendDouble(std::string& out, LogFormat format, double value) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else {
    AppendText(out, format, std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
  }
}

}  // namespace

void AppendTime(std::string& out, WallNanos time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t whole = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (time - seconds).count());
}

void AppendHead(std::string& out, LogFormat format, WallNanos time, LogLevel level, std::string_view event) {
  if (format == LogFormat::kJson) {
    out.append("{\"time\":\"");
    AppendTime(out, time);
    out.append("\",\"level\":\"").append(LevelName(level)).append("\",\"msg\":");
  } else {
    out.append("time=");
    AppendTime(out, time);
    out.append(" level=").append(LevelName(level)).append(" msg=");
  }
  AppendText(out, format, event);
}

void AppendField(std::string& out, LogFormat format, const Field& field) {
  if (format == LogFormat::kJson) {
    out.push_back(',');
    AppendQuoted(out, field.key());
    out.push_back(':');
  } else {
    out.push_back(' ');
    out.append(field.key()).push_back('=');
  }
  if (const auto* text = std::get_if<std::string_view>(&field.value())) {
    AppendText(out, format, *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value())) {
    out.append(std::to_string(*integer));
  } else if (const auto* natural = std::get_if<std::uint64_t>(&field.value())) {
    out.append(std::to_string(*natural));
  } else if (const auto* number = std::get_if<double>(&field.value())) {
    AppendDouble(out, format, *number);
  } else if (const auto* flag = std::get_if<bool>(&field.value())) {
    out.append(*flag ? "true" : "false");
  } else {
    AppendText(out, format, std::get<const Error*>(field.value())->ToString());
  }
}

void AppendEnd(std::string& out, LogFormat format) {
  if (format == LogFormat::kJson) out.push_back('}');
}

}  // namespace multigres
