#include "common/topoclient/connection_contract.h"
#include "common/topoclient/memorytopo/memory_topo.h"

namespace multigres::topo {
namespace {

class MemoryStore final : public ContractStore {
 public:
  explicit MemoryStore(Reactor& reactor) : topo_(reactor.clock()) {}
  std::unique_ptr<Connection> Connect() override {
    ConnectionSpec spec;
    spec.cell = "global";
    spec.addresses = {"memory"};
    return topo_.Connect(std::move(spec));
  }
  Duration shortest_ttl() const override { return std::chrono::milliseconds(20); }

 private:
  MemoryTopo topo_;
};

INSTANTIATE_TEST_SUITE_P(Memory, ConnectionContract, testing::Values(MakeContractStore([](Reactor& reactor) {
                           return std::make_unique<MemoryStore>(reactor);
                         })));

}  // namespace
}  // namespace multigres::topo
