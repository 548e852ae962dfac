// The in-memory topology store, with hooks that make it fail as a real one does: for tests and simulation.
#pragma once

#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "common/topoclient/connection.h"
#include "common/topoclient/memorytopo/cell_store.h"

namespace multigres::topo {

enum class Operation : std::uint8_t { kCreate, kUpdate, kGet, kList, kDelete, kLock, kRevokeLock, kWatch, kAny };

// A set of stores by cell ("global" included), shared by all connections made from it: one reactor, whose
// clock is given here. Must outlive its connections.
class MemoryTopo {
 public:
  // A connection to this address blocks until the caller's deadline.
  static constexpr std::string_view kUnreachable = "unreachable";

  // `seed` gives the first version.
  explicit MemoryTopo(Clock& clock, std::uint64_t seed = 1);
  ~MemoryTopo();
  MemoryTopo(const MemoryTopo&) = delete;
  MemoryTopo& operator=(const MemoryTopo&) = delete;

  // For Store::Create(). Cells may be used without being declared.
  std::unique_ptr<Backend> NewBackend();
  std::unique_ptr<Connection> Connect(ConnectionSpec spec);

  // Hooks. Every operation fails with this error until it is cleared.
  void FailAll(Error error);
  void ClearFailAll();
  // Operations on paths that match the regular expression fail: always, or the next time only.
  enum class Times : std::uint8_t { kAlways, kOnce };
  void FailOn(Operation operation, const std::string& path_regex, Error error, Times times = Times::kAlways);
  void ClearFailOn();
  // Ends all open watches of a cell with this error (all cells if empty).
  void CloseWatches(const std::string& cell, Error error);
  // Operations wait (until their deadline) while paused.
  void Pause();
  void Resume();
  // Ends all leases of a cell now, as if their time had run out.
  void ExpireLeases(const std::string& cell);

 private:
  friend class MemoryConnection;
  struct Failure {
    Operation operation;
    std::regex path;
    Error error;
    Times times;
  };
  CellStore& StoreOf(const std::string& cell);
  std::optional<Error> TakeFailure(Operation operation, const std::string& path);

  Clock& clock_;
  Version version_;  // one counter, random start
  std::uint64_t next_lease_ = 1;
  std::map<std::string, std::unique_ptr<CellStore>> cells_;
  std::optional<Error> fail_all_;
  std::vector<Failure> failures_;
  bool paused_ = false;
  Event hooks_changed_;
};

}  // namespace multigres::topo
