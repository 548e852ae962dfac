// What was acknowledged, and who admits writes (ha.md, section 12), watched while a run goes on. It sees everything:
// every disk, every log.
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
  // Its pooler has answered that this rule is decided now.
  void OnDecided(const MemoryPostgres& server, const ::clustermetadata::RuleNumber& number);
  // The data path of this server's pooler admits writes from now on / no longer.
  void OnServing(const MemoryPostgres& server, bool serving);
  // The pooler beside this server has answered a Recruit.
  void OnRecruited(const MemoryPostgres& server);

  std::size_t acknowledged() const { return acknowledged_.size(); }
  // Everything acknowledged is here.
  void CheckComplete(const MemoryPostgres& server, std::string_view occasion);

 private:
  struct Acknowledged {
    std::uint64_t id;
    std::size_t length;
    ::multigres::consensus::MemberSet holders;
  };
  void CheckDurable(const MemoryPostgres& server, const Record& record, std::size_t length);

  PostgresWorld& world_;
  std::vector<Acknowledged> acknowledged_;
  std::map<std::string, const MemoryPostgres*> serving_;
  // Of all that ever admitted writes, the leader by the highest rule, and that rule. A leader of a lower one may still
  // believe in itself; nobody acknowledges what it writes.
  const MemoryPostgres* top_ = nullptr;
  Rules top_rules_;
};

}  // namespace multigres::sim
