#include "common/topoclient/memorytopo/memory_topo.h"

#include <random>

#include "common/topoclient/memorytopo/memory_connection.h"

namespace multigres::topo {

namespace {

class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(MemoryTopo& topo) : topo_(topo) {}
  std::unique_ptr<Connection> Connect(ConnectionSpec spec) override { return topo_.Connect(std::move(spec)); }

 private:
  MemoryTopo& topo_;
};

}  // namespace

MemoryTopo::MemoryTopo(Clock& clock, std::uint64_t seed)
    : clock_(clock), version_(static_cast<Version>(std::mt19937_64(seed)() % 1'000'000)) {}

MemoryTopo::~MemoryTopo() = default;

std::unique_ptr<Backend> MemoryTopo::NewBackend() {
  return std::make_unique<MemoryBackend>(*this);
}

std::unique_ptr<Connection> MemoryTopo::Connect(ConnectionSpec spec) {
  return std::make_unique<MemoryConnection>(*this, std::move(spec));
}

CellStore& MemoryTopo::StoreOf(const std::string& cell) {
  auto& store = cells_[cell];
  if (!store) store = std::make_unique<CellStore>(version_);
  return *store;
}

void MemoryTopo::FailAll(Error error) {
  fail_all_ = std::move(error);
}

void MemoryTopo::ClearFailAll() {
  fail_all_.reset();
}

void MemoryTopo::FailOn(Operation operation, const std::string& path_regex, Error error, Times times) {
  failures_.push_back({operation, std::regex(path_regex), std::move(error), times});
}

void MemoryTopo::ClearFailOn() {
  failures_.clear();
}

void MemoryTopo::CloseWatches(const std::string& cell, Error error) {
  for (auto& [name, store] : cells_) {
    if (cell.empty() || name == cell) store->EndWatches(error);
  }
}

void MemoryTopo::Pause() {
  paused_ = true;
}

void MemoryTopo::Resume() {
  paused_ = false;
  hooks_changed_.Pulse();
}

void MemoryTopo::ExpireLeases(const std::string& cell) {
  StoreOf(cell).RevokeAll();
}

std::optional<Error> MemoryTopo::TakeFailure(Operation operation, const std::string& path) {
  if (fail_all_) return fail_all_;
  for (auto it = failures_.begin(); it != failures_.end(); ++it) {
    if (it->operation != Operation::kAny && it->operation != operation) continue;
    if (!std::regex_search(path, it->path)) continue;
    Error error = it->error;
    if (it->times == Times::kOnce) failures_.erase(it);
    return error;
  }
  return std::nullopt;
}

}  // namespace multigres::topo
