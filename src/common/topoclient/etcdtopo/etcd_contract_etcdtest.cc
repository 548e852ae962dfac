#include "common/topoclient/connection_contract.h"
#include "common/topoclient/etcdtopo/etcd_topo.h"
#include "test/support/etcd.h"

namespace multigres::topo {
namespace {

class EtcdStore final : public ContractStore {
 public:
  explicit EtcdStore(Reactor& reactor) : backend_(NewEtcdBackend(reactor)) {
    static int stores = 0;
    root_ = fmt::format("/contract/{}", ++stores);
  }
  std::unique_ptr<Connection> Connect() override {
    ConnectionSpec spec;
    spec.cell = "global";
    spec.addresses = {test::EtcdServer::Shared().address()};
    spec.root = root_;
    return backend_->Connect(std::move(spec));
  }
  Duration shortest_ttl() const override { return std::chrono::seconds(1); }

 private:
  std::unique_ptr<Backend> backend_;
  std::string root_;
};

INSTANTIATE_TEST_SUITE_P(Etcd, ConnectionContract, testing::Values(MakeContractStore([](Reactor& reactor) {
                           return std::make_unique<EtcdStore>(reactor);
                         })));

}  // namespace
}  // namespace multigres::topo
