// What promises and rules must obey (ha.md, sections 3 to 6), by every answer and by every record of every WAL. It
// knows the rules by itself, so that it notices when the code under test forgets one.
#pragma once

#include <map>
#include <string>

#include "clustermetadata.pb.h"
#include "common/consensus/member.h"
#include "test/sim/memory_postgres.h"

namespace multigres::sim {

// Does this promise keep its member from taking part under these rules? (4)
bool Binds(const ::clustermetadata::TermRevocation& promise, const ::clustermetadata::RulePosition& rules);

class RuleJudge {
 public:
  explicit RuleJudge(PostgresWorld& world) : world_(world) {}

  // The pooler beside this server has answered a Recruit.
  void OnRecruited(const MemoryPostgres& server, const ::clustermetadata::ConsensusStatus& answer);
  // The member's promise, as its pooler reports it; empty = none.
  void OnReportedPromise(const std::string& member, const ::clustermetadata::TermRevocation& promise);
  // A change that was asked of the rule `expected` has led to the rule `decided`.
  void OnRuleChanged(const ::clustermetadata::RuleNumber& expected, const ::clustermetadata::RuleNumber& decided);
  // Every rule that comes into any WAL; every standby that streams.
  void OnStep();

 private:
  struct Promised {
    ::clustermetadata::TermRevocation promise;
    std::string attempt;
  };
  void CheckTerms(const std::string& member, const ::clustermetadata::TermRevocation& promise);
  void CheckContent(const ::clustermetadata::ShardRule& rule);
  void CheckNewest(const MemoryPostgres& server);
  void CheckChange(const MemoryPostgres& server, std::size_t length);
  void CheckMandate(const MemoryPostgres& server, const ::clustermetadata::RulePosition& before,
                    const ::clustermetadata::ShardRule& rule);
  void CheckProposalHeld(const MemoryPostgres& server, std::size_t length,
                         const ::clustermetadata::RulePosition& before);
  void CheckStreams(const MemoryPostgres& server);

  PostgresWorld& world_;
  std::map<std::pair<std::int64_t, std::int64_t>, ::clustermetadata::ShardRule> contents_;
  std::map<const void*, bool> seen_;
  std::map<std::string, Promised> promised_;
};

}  // namespace multigres::sim
