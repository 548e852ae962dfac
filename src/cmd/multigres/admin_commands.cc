// multigres get...: what multiadmin knows, as JSON.

#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmd/multigres/admin_client.h"
#include "cmd/multigres/command.h"

namespace multigres::cli {

using namespace std::chrono_literals;

namespace {

struct AdminFlags {
  std::string name;
  std::vector<std::string> cells;
  std::string database;
  std::string cell;
  std::string service_id;
};

// snake_case, enum names, unset omitted; `list` is there even if it is empty.
Result<std::string> ToJson(const google::protobuf::Message& message, const char* list = nullptr) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!status.ok() || json.is_discarded()) return Fail(Code::kInternal, "the answer cannot be shown as JSON");
  if (list != nullptr && !json.contains(list)) json[list] = nlohmann::ordered_json::array();
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// The answer goes to stdout.
template <class Request, class Response>
Awaitable<Result<>> Show(Context& context, AdminMethod<Request, Response> method, Request request, const char* list) {
  auto response = co_await AskAdmin(context, method, std::move(request), 30s);
  if (!response) co_return std::unexpected(std::move(response.error()));
  auto text = ToJson(*response, list);
  if (!text) co_return std::unexpected(std::move(text.error()));
  std::fputs(text->c_str(), stdout);
  co_return Result<>();
}

Awaitable<Result<>> GetCell(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetCellRequest request;
  request.set_name(flags.name);
  return Show(context, &AdminClient::GetCell, std::move(request), nullptr);
}

Awaitable<Result<>> GetDatabase(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetDatabaseRequest request;
  request.set_name(flags.name);
  return Show(context, &AdminClient::GetDatabase, std::move(request), nullptr);
}

Awaitable<Result<>> GetCellNames(Context& context, const AdminFlags&) {
  return Show(context, &AdminClient::GetCellNames, ::multiadmin::GetCellNamesRequest(), "names");
}

Awaitable<Result<>> GetDatabaseNames(Context& context, const AdminFlags&) {
  return Show(context, &AdminClient::GetDatabaseNames, ::multiadmin::GetDatabaseNamesRequest(), "names");
}

Awaitable<Result<>> GetGateways(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetGatewaysRequest request;
  for (const std::string& cell : flags.cells) request.add_cells(cell);
  return Show(context, &AdminClient::GetGateways, std::move(request), "gateways");
}

Awaitable<Result<>> GetOrchs(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetOrchsRequest request;
  for (const std::string& cell : flags.cells) request.add_cells(cell);
  return Show(context, &AdminClient::GetOrchs, std::move(request), "orchs");
}

Awaitable<Result<>> GetPoolers(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetPoolersRequest request;
  for (const std::string& cell : flags.cells) request.add_cells(cell);
  request.set_database(flags.database);
  return Show(context, &AdminClient::GetPoolers, std::move(request), "poolers");
}

Awaitable<Result<>> GetPoolerStatus(Context& context, const AdminFlags& flags) {
  ::multiadmin::GetPoolerStatusRequest request;
  request.mutable_pooler_id()->set_component(clustermetadata::ID::MULTIPOOLER);
  request.mutable_pooler_id()->set_cell(flags.cell);
  request.mutable_pooler_id()->set_name(flags.service_id);
  return Show(context, &AdminClient::GetPoolerStatus, std::move(request), nullptr);
}

using Handler = Awaitable<Result<>> (*)(Context&, const AdminFlags&);

}  // namespace

void AddAdminCommands(CLI::App& app, Command* chosen) {
  // The commands share them: one command runs, and holds them.
  auto flags = std::make_shared<AdminFlags>();
  const auto add = [&app, chosen, flags](const char* name, const char* help, Handler handler) -> CLI::App& {
    CLI::App& command = *app.add_subcommand(name, help);
    command.fallthrough();
    command.callback([chosen, handler, flags] {
      *chosen = [handler, flags](Context& context) { return handler(context, *flags); };
    });
    return command;
  };
  add("getcell", "a cell", GetCell).add_option("--name", flags->name, "its name")->required();
  add("getdatabase", "a database", GetDatabase).add_option("--name", flags->name, "its name")->required();
  add("getcellnames", "the names of all cells", GetCellNames);
  add("getdatabasenames", "the names of all databases", GetDatabaseNames);
  const char* cells_help = "only those of these cells";
  add("getgateways", "the gateways", GetGateways).add_option("--cells", flags->cells, cells_help)->delimiter(',');
  add("getorchs", "the orchestrators", GetOrchs).add_option("--cells", flags->cells, cells_help)->delimiter(',');
  CLI::App& poolers = add("getpoolers", "the poolers", GetPoolers);
  poolers.add_option("--cells", flags->cells, cells_help)->delimiter(',');
  poolers.add_option("--database", flags->database, "only those of this database");
  CLI::App& status = add("getpoolerstatus", "what a pooler says of itself", GetPoolerStatus);
  status.add_option("--cell", flags->cell, "its cell")->required();
  status.add_option("--service-id", flags->service_id, "its service id")->required();
}

}  // namespace multigres::cli
