#include "services/multigateway/session/portals.h"

#include <fmt/format.h>

#include "query.pb.h"

namespace multigres::gateway::session {
namespace {

Result<> CheckFormats(const pgwire::Int16List& formats) {
  for (std::size_t i = 0; i < formats.size(); i++) {
    auto format = static_cast<std::int16_t>(formats[i]);
    if (format != 0 && format != 1) {
      return Fail(Code::kInvalidArgument, "22023", fmt::format("unsupported format code: {}", format));
    }
  }
  return {};
}

}  // namespace

Portal::Portal(StatementSourcePtr source, std::string statement_name, std::unique_ptr<query::Portal> bound)
    : source(std::move(source)), statement_name(std::move(statement_name)), bound(std::move(bound)) {}
Portal::Portal(Portal&&) noexcept = default;
Portal& Portal::operator=(Portal&&) noexcept = default;
Portal::~Portal() = default;

Portals::Portals() = default;
Portals::~Portals() = default;

Result<Portal*> Portals::Bind(StatementSourcePtr source, const pgwire::BindMessage& message) {
  auto params = CheckFormats(message.parameter_formats);
  if (!params) return std::unexpected(std::move(params.error()));
  auto results = CheckFormats(message.result_formats);
  if (!results) return std::unexpected(std::move(results.error()));
  std::string name(message.portal);
  if (!name.empty() && portals_.contains(name)) {
    return Fail(Code::kAlreadyExists, "42P03", fmt::format("cursor \"{}\" already exists", name));
  }

  auto bound = std::make_unique<query::Portal>();
  bound->set_name(name);
  bound->mutable_param_lengths()->Reserve(static_cast<int>(message.parameters.size()));
  bound->mutable_param_values()->reserve(message.parameters.raw().size());
  for (std::optional<std::string_view> param : message.parameters) {
    bound->add_param_lengths(param ? static_cast<std::int64_t>(param->size()) : -1);
    if (param) bound->mutable_param_values()->append(*param);
  }
  for (std::size_t i = 0; i < message.parameter_formats.size(); i++) {
    bound->add_param_formats(message.parameter_formats[i]);
  }
  for (std::size_t i = 0; i < message.result_formats.size(); i++) bound->add_result_formats(message.result_formats[i]);

  Portal portal(std::move(source), std::string(message.statement), std::move(bound));
  auto [it, inserted] = portals_.insert_or_assign(std::move(name), std::move(portal));
  return &it->second;
}

Portal* Portals::Find(std::string_view name) {
  auto it = portals_.find(name);
  return it == portals_.end() ? nullptr : &it->second;
}

Result<Portal*> Portals::Get(std::string_view name) {
  Portal* found = Find(name);
  if (found != nullptr) return found;
  return Fail(Code::kNotFound, "34000", fmt::format("portal \"{}\" does not exist", name));
}

bool Portals::Remove(std::string_view name) {
  auto it = portals_.find(name);
  if (it == portals_.end()) return false;
  portals_.erase(it);
  return true;
}

void Portals::Clear() {
  portals_.clear();
}

std::vector<std::string> Portals::Suspended() const {
  std::vector<std::string> names;
  for (const auto& [name, portal] : portals_) {
    if (portal.state == Portal::State::kSuspended) names.push_back(name);
  }
  return names;
}

}  // namespace multigres::gateway::session
