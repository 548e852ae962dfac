// A shard of poolers in memory: the twin of real poolers for tests of an orchestrator. Each has a WAL, a promise and
// the consensus agent's rules (common/consensus), and streams from whom it was told to follow; time is the clock's
// alone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "services/multiorch/health/health_board.h"
#include "services/multiorch/health/pooler_client.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::orch {

class MemoryShard {
 public:
  // Members start as initialized standbys of one seed (rule 0.1), following nobody.
  MemoryShard(Executor executor, Clock& clock, std::vector<std::string> members, Logger logger = {});
  ~MemoryShard();

  // The shard as one orchestrator reaches it. Calls to members that are down, or cut off from it, are UNAVAILABLE.
  class Access final : public PoolerClients {
   public:
    Access(MemoryShard& shard, HealthBoard& board) : shard_(shard), board_(board) {}
    std::shared_ptr<PoolerClient> Find(const std::string& member) override;
    void CutOff(const std::string& member, bool cut_off);
    // What discovery and the health streams would tell the board now.
    void Publish();

   private:
    friend class MemoryShard;
    MemoryShard& shard_;
    HealthBoard& board_;
    std::set<std::string> cut_off_;
  };

  // Replication and the poolers' monitors: call it every few milliseconds of the clock.
  void Pump();

  // Faults. A node is PostgreSQL and its pooler together; what isn't on disk is lost with it.
  void KillNode(const std::string& member);
  void StartNode(const std::string& member);  // PostgreSQL comes up as a standby that follows nobody
  void KillPostgres(const std::string& member);
  // The pooler's monitor starts it again, as a standby.
  void DropConninfo(const std::string& member);
  void SetShutDown(const std::string& member);
  // No replication from or to it: its connections break.
  void SetIsolated(const std::string& member, bool isolated);
  // Its host is cut off: nothing from or to it arrives, and nobody is told.
  void SetSilent(const std::string& member, bool silent);
  // All processes of its PostgreSQL are stopped, or only whatever needs its disk.
  void SetFrozen(const std::string& member, bool frozen);
  void SetDiskFrozen(const std::string& member, bool frozen);
  // The pooler's process alone; its memory is lost with it.
  void KillPooler(const std::string& member);
  void StartPooler(const std::string& member);
  void AddMember(const std::string& member);  // a fresh copy of the leader's data, following nobody
  // How long a call takes to arrive, if not at once.
  std::function<Duration(const std::string& member, std::string_view method)> latency;
  // Runs before a call is handled; its error is the call's.
  std::function<Result<>(const std::string& member, std::string_view method)> on_call;

  // A client's write at whoever serves as PRIMARY; true once it is acknowledged. False: nobody, or outcome unknown.
  Awaitable<bool> Write(std::string value);

  // What is true, for assertions.
  std::string Primary() const;  // the only member that may serve writes; "" if none or several
  std::vector<std::string> Primaries() const;
  ::clustermetadata::RulePosition Rules(const std::string& member) const;
  bool Follows(const std::string& member, const std::string& leader) const;  // streams, with all its WAL
  bool Holds(const std::string& member, const std::string& value) const;
  std::set<std::string> Values(const std::string& member) const;
  int Calls(std::string_view method) const;
  const std::vector<std::string>& members() const { return members_; }

 private:
  struct Node;
  class Client;
  struct Record {
    ::clustermetadata::RulePosition rules;  // in force after this record
    std::string value;
    std::uint64_t id;  // never repeats: two WALs agree iff their ids do
    friend bool operator==(const Record& a, const Record& b) { return a.id == b.id; }
  };

  Node& At(const std::string& member) { return *nodes_.at(member); }
  const Node& At(const std::string& member) const { return *nodes_.at(member); }
  void Stream(Node& node);
  void Receive(Node& node, const Node& primary);
  void Monitor(Node& node);
  void Probe(Node& node);
  ::multipoolermanagerdata::StatusResponse StatusOf(const Node& node) const;
  ::clustermetadata::ConsensusStatus ConsensusOf(const Node& node) const;
  bool MayWrite(const Node& node) const;
  bool Durable(const Node& node, std::size_t length, const ::clustermetadata::RulePosition& rules) const;
  // Appends and waits for the acknowledgement of Both (a proposal open) or of the decided rule.
  Awaitable<Result<>> Append(Node& node, ::clustermetadata::RulePosition rules, std::string value, Deadline deadline);
  Awaitable<Result<>> WriteRule(Node& node, ::clustermetadata::RulePosition transition, Deadline deadline);
  Awaitable<Result<::clustermetadata::ConsensusStatus>> Recruit(Node& node, ::clustermetadata::TermRevocation request,
                                                                Deadline deadline);
  Awaitable<Result<::clustermetadata::ConsensusStatus>> Promote(Node& node, ::consensusdata::PromoteRequest request,
                                                                Deadline deadline);
  Awaitable<Result<::clustermetadata::ConsensusStatus>> SetPrimary(Node& node,
                                                                   ::clustermetadata::ReplicationPrimary target);
  Awaitable<Result<::clustermetadata::PoolerPosition>> UpdateRule(
      Node& node, ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline);
  // A call reaches the pooler, or fails as a call does: at once, or at its deadline.
  Awaitable<Result<>> Enter(const Access* access, const std::string& member, std::string_view method,
                            Deadline deadline);
  // Waits until its PostgreSQL isn't frozen.
  Awaitable<Result<>> Thaw(const Node& node, Deadline deadline);

  void Trace(std::string_view event, const Node& node) const;

  Executor executor_;
  Clock& clock_;
  Logger logger_;
  std::vector<std::string> members_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::string, int, std::less<>> calls_;
  std::uint64_t next_record_ = 1;
};

}  // namespace multigres::orch
