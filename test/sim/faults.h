// Faults by a seeded schedule, each with its end; and peace.
#pragma once

#include <functional>
#include <map>

#include "test/sim/cluster.h"

namespace multigres::sim {

class Faults {
 public:
  Faults(Cluster& cluster, Random& random) : cluster_(cluster), random_(random) {}

  // Faults for that long, in the cluster's time. Ends early on a violation.
  void Run(Duration duration);
  // Everything is mended and started.
  void MakePeace();

 private:
  void Strike();
  void StrikeProcesses(Host& host);
  void StrikeNetwork(Host& host);
  void StrikePostgres(Host& host);
  void StrikeOrchestrators();
  void StrikeOperations(Host& host);
  void After(Duration least, Duration most, std::function<void()> mend);
  Host& AnyHost();
  bool CanGoOnWithout(const Host& lost);

  Cluster& cluster_;
  Random& random_;
  std::multimap<TimePoint, std::function<void()>> mends_;
  bool lost_volumes_ = false;
};

}  // namespace multigres::sim
