#include "common/provisioner/supervisor_control.h"

#include <sys/stat.h>

#include "common/provisioner/spec_json.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMaxLine = std::size_t{1} << 20;

std::string ErrorAnswer(const Error& error) {
  return Json{{"ok", false}, {"code", static_cast<int>(error.code())}, {"error", error.message()}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

SupervisorServer::SupervisorServer(Reactor& reactor, Supervisor& supervisor, Logger logger)
    : reactor_(reactor), supervisor_(supervisor), logger_(std::move(logger)), tasks_(reactor.executor()) {}

SupervisorServer::~SupervisorServer() = default;

Result<> SupervisorServer::Listen(const std::string& socket_path) {
  const mode_t before = ::umask(0077);
  auto listener = Listener::Open(reactor_, UnixAddress{socket_path});
  ::umask(before);
  if (!listener) return std::unexpected(std::move(listener.error()));
  listener_ = std::move(*listener);
  tasks_.Spawn("accept control connections", AcceptLoop(*this));
  return {};
}

Awaitable<void> SupervisorServer::AcceptLoop(SupervisorServer& self) {
  for (;;) {
    auto stream = co_await self.listener_->Accept();
    if (!stream) co_return;
    self.tasks_.Spawn("control connection", Converse(self, std::move(*stream)));
  }
}

Awaitable<void> SupervisorServer::Converse(SupervisorServer& self, std::unique_ptr<ByteStream> stream) {
  LineStream lines(std::move(stream), kMaxLine);
  for (;;) {
    auto line = co_await lines.ReadLine();
    if (!line || !*line) co_return;
    const std::string answer = self.Answer(**line);
    auto written = co_await lines.WriteLine(answer);
    if (!written) co_return;
  }
}

std::string SupervisorServer::Answer(const std::string& line) {
  const Json request = Json::parse(line, nullptr, false);
  const std::string command = request.is_object() ? request.value("command", "") : "";
  if (command == "start" && request.contains("service")) {
    auto spec = SpecFromJson(request.at("service"));
    if (!spec) return ErrorAnswer(spec.error());
    auto started = supervisor_.Start(std::move(*spec));
    if (!started) return ErrorAnswer(started.error());
    return Json{{"ok", true}, {"pid", started->pid}, {"was-running", started->was_running}}.dump();
  }
  if (command == "list") {
    Json services = Json::array();
    for (const Supervisor::Status& status : supervisor_.List()) {
      services.push_back({{"id", status.id},
                          {"service", status.service},
                          {"pid", status.pid},
                          {"running", status.running},
                          {"restarts", status.restarts},
                          {"exits", status.exits},
                          {"last-exit", status.last_exit}});
    }
    return Json{{"ok", true}, {"services", services}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (command == "shutdown") {
    shutdown_.Set();
    return Json{{"ok", true}}.dump();
  }
  return ErrorAnswer(Error(Code::kInvalidArgument, "unknown command"));
}

Awaitable<void> SupervisorServer::Close() {
  if (listener_) listener_->Close();
  co_await tasks_.CancelAndJoin();
}

Awaitable<Result<std::unique_ptr<SupervisorClient>>> SupervisorClient::Connect(Reactor& reactor,
                                                                               std::string socket_path) {
  auto stream = co_await multigres::Connect(reactor, UnixAddress{socket_path}, reactor.clock().After(2s));
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  co_return std::unique_ptr<SupervisorClient>(new SupervisorClient(std::move(*stream)));
}

Awaitable<Result<std::string>> SupervisorClient::Ask(std::string request) {
  auto written = co_await lines_.WriteLine(request);
  if (!written) co_return Fail(std::move(written), "supervisor");
  auto line = co_await lines_.ReadLine();
  if (!line) co_return Fail(std::move(line), "supervisor");
  if (!*line) co_return Fail(Code::kUnavailable, "the supervisor closed the connection");
  const Json answer = Json::parse(**line, nullptr, false);
  if (!answer.is_object()) co_return Fail(Code::kInternal, "the supervisor's answer is not JSON");
  if (!answer.value("ok", false)) {
    co_return Fail(static_cast<Code>(answer.value("code", static_cast<int>(Code::kUnknown))),
                   answer.value("error", ""));
  }
  co_return std::move(**line);
}

Awaitable<Result<Supervisor::Started>> SupervisorClient::Start(ServiceSpec spec) {
  auto line = co_await Ask(Json{{"command", "start"}, {"service", SpecToJson(spec)}}.dump());
  if (!line) co_return std::unexpected(std::move(line.error()));
  const Json answer = Json::parse(*line, nullptr, false);
  Supervisor::Started started;
  started.pid = answer.value("pid", 0);
  started.was_running = answer.value("was-running", false);
  co_return started;
}

Awaitable<Result<std::vector<Supervisor::Status>>> SupervisorClient::List() {
  auto line = co_await Ask(Json{{"command", "list"}}.dump());
  if (!line) co_return std::unexpected(std::move(line.error()));
  const Json answer = Json::parse(*line, nullptr, false);
  std::vector<Supervisor::Status> list;
  for (const Json& entry : answer.value("services", Json::array())) {
    Supervisor::Status status;
    status.id = entry.value("id", "");
    status.service = entry.value("service", "");
    status.pid = entry.value("pid", 0);
    status.running = entry.value("running", false);
    status.restarts = entry.value("restarts", 0);
    status.exits = entry.value("exits", 0);
    status.last_exit = entry.value("last-exit", "");
    list.push_back(std::move(status));
  }
  co_return list;
}

Awaitable<Result<>> SupervisorClient::Shutdown() {
  auto line = co_await Ask(Json{{"command", "shutdown"}}.dump());
  if (!line) co_return std::unexpected(std::move(line.error()));
  co_return Result<>();
}

}  // namespace multigres::provisioner
