// The invariants of ha.md, section 12, watched while a run goes on. It sees everything: every disk, every log.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "consensusdata.pb.h"
#include "test/sim/memory_postgres.h"

namespace multigres::sim {

class Judge {
 public:
  explicit Judge(PostgresWorld& world) : world_(world) {}

  // A write, or a decision of the shard's rule, was acknowledged by this server.
  void OnAcknowledged(const MemoryPostgres& server, const Record& record, std::size_t length);
  // A client's write enters the WAL here. `promise`: what is on the pooler's disk, null = none.
  void OnWrite(const MemoryPostgres& server, const ::clustermetadata::ID& self,
               const ::clustermetadata::TermRevocation* promise);
  // The data path of this server's pooler admits writes from now on / no longer.
  void OnServing(const MemoryPostgres& server, bool serving);
  // The pooler has answered a Recruit.
  void OnRecruited(const std::string& member, const ::clustermetadata::TermRevocation& revocation);
  // Every rule that comes into any WAL.
  void OnStep();
  // The member's promises, as its pooler reports them.
  void OnReportedPromise(const std::string& member, const ::clustermetadata::TermRevocation& revocation);
  void Forget(const std::string& member) { promised_.erase(member); }  // a new identity

  std::size_t acknowledged() const { return acknowledged_.size(); }
  // Everything acknowledged is here.
  void CheckComplete(const MemoryPostgres& server, std::string_view occasion);

 private:
  struct Acknowledged {
    std::uint64_t id;
    std::size_t length;
  };
  void CheckDurable(const MemoryPostgres& server, const Record& record, std::size_t length);
  void CheckRule(const ::clustermetadata::ShardRule& rule);
  void CheckWal(const MemoryPostgres& server);

  PostgresWorld& world_;
  std::vector<Acknowledged> acknowledged_;
  std::map<std::string, const MemoryPostgres*> serving_;
  // Of all that ever admitted writes, the leader by the highest rule, and that rule. A leader of a lower one may still
  // believe in itself; nobody acknowledges what it writes.
  const MemoryPostgres* top_ = nullptr;
  Rules top_rules_;
  std::map<std::pair<std::int64_t, std::int64_t>, ::clustermetadata::ShardRule> rules_;
  std::map<const void*, bool> seen_rules_;
  struct Promised {
    std::int64_t term = 0;
    std::string attempt;
  };
  std::map<std::string, Promised> promised_;
  std::size_t checked_records_ = 0;
};

}  // namespace multigres::sim
