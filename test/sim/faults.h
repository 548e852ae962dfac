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
  // A member has lost its volumes for good, another is in the middle of a rewind, and without both a rule that may be
  // in force can't be succeeded: more than the policy survives, which takes an operator's certificate.
  bool TakeAnOperator() const { return lost_volumes_ && !CanGoOnWithout(nullptr); }

 private:
  void Strike();
  void StrikeProcesses(Host& host);
  void StrikeNetwork(Host& host);
  void StrikePostgres(Host& host);
  void StrikeOrchestrators();
  void StrikeOperations(Host& host);
  void After(Duration least, Duration most, std::function<void()> mend);
  Host& AnyHost();
  bool CanGoOnWithout(const Host* lost) const;

  Cluster& cluster_;
  Random& random_;
  std::multimap<TimePoint, std::function<void()>> mends_;
  bool lost_volumes_ = false;
};

}  // namespace multigres::sim
