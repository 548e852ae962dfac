// The two line formats of a record.
#pragma once

#include <string>

#include "tools/log/logger.h"

namespace multigres {

using WallNanos = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

// RFC 3339, UTC, nanoseconds: "2026-01-02T03:04:05.000000006Z".
void AppendTime(std::string& out, WallNanos time);

// The start of a line: time, level and msg; JSON's object stays open.
void AppendHead(std::string& out, LogFormat format, WallNanos time, LogLevel level, std::string_view event);
// `,"key":value` or ` key=value`. Text that isn't UTF-8 comes out with U+FFFD in place of the bad bytes.
void AppendField(std::string& out, LogFormat format, const Field& field);
void AppendEnd(std::string& out, LogFormat format);

}  // namespace multigres
