#include "tools/log/logger.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cctype>
#include <mutex>

#include "tools/log/encode.h"

namespace multigres {

struct Logger::Core {
  LogFormat format = LogFormat::kJson;
  std::function<WallNanos()> now;
  std::function<void(std::string_view)> write;
};

namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::shared_ptr<spdlog::sinks::sink> OpenOutput(const std::string& output) {
  if (output == "stderr") return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  if (output != "stdout" && !output.empty()) {
    try {
      return std::make_shared<spdlog::sinks::basic_file_sink_mt>(output, /*truncate=*/false);
    } catch (const spdlog::spdlog_ex&) {
      // A log that can't be written where it should is better seen than lost.
      return std::make_shared<spdlog::sinks::stdout_sink_mt>();
    }
  }
  return std::make_shared<spdlog::sinks::stdout_sink_mt>();
}

}  // namespace

LogLevel ParseLogLevel(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower == "debug") return LogLevel::kDebug;
  if (lower == "warn" || lower == "warning") return LogLevel::kWarn;
  if (lower == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

LogFormat ParseLogFormat(std::string_view text) {
  return Lower(text) == "text" ? LogFormat::kText : LogFormat::kJson;
}

Logger Logger::Create(LogOptions options) {
  auto sink = OpenOutput(options.output);
  sink->set_pattern("%v");
  // The sink locks by itself.
  auto write = [sink = std::move(sink)](std::string_view line) {
    try {
      sink->log(spdlog::details::log_msg({}, spdlog::level::info, spdlog::string_view_t(line.data(), line.size())));
      sink->flush();
    } catch (const spdlog::spdlog_ex&) {
      return;  // a full disk must not end the service
    }
  };
  Logger logger;
  logger.core_ = std::make_shared<Core>(Core{options.format, std::move(options.now), std::move(write)});
  logger.level_ = options.level;
  return logger;
}

Logger Logger::ToSink(LogOptions options, std::function<void(std::string_view)> sink) {
  auto lock = std::make_shared<std::mutex>();
  auto write = [lock, sink = std::move(sink)](std::string_view line) {
    const std::lock_guard guard(*lock);
    sink(line);
  };
  Logger logger;
  logger.core_ = std::make_shared<Core>(Core{options.format, std::move(options.now), std::move(write)});
  logger.level_ = options.level;
  return logger;
}

Logger Logger::With(std::initializer_list<Field> fields) const {
  Logger logger = *this;
  if (!core_) return logger;
  std::string context = context_ ? *context_ : std::string();
  for (const Field& field : fields) AppendField(context, core_->format, field);
  logger.context_ = std::make_shared<const std::string>(std::move(context));
  return logger;
}

void Logger::Write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) const {
  if (!core_) return;
  std::string line;
  line.reserve(256);
  const WallNanos now = core_->now ? core_->now() : WallNanos(std::chrono::system_clock::now());
  AppendHead(line, core_->format, now, level, event);
  if (context_) line.append(*context_);
  for (const Field& field : fields) AppendField(line, core_->format, field);
  AppendEnd(line, core_->format);
  core_->write(line);
}

}  // namespace multigres
