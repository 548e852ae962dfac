// What this member has promised, on disk: a promise that is forgotten loses writes.
#pragma once

#include <memory>
#include <string>

#include "clustermetadata.pb.h"
#include "tools/fs/disk.h"
#include "tools/result/error.h"

namespace multigres::pooler::consensus {

// {pooler_dir}/consensus_promises.json, mode 0600, replaced atomically and synced with its folder. Memory follows disk,
// never the other way round. One reactor; the calls block for as long as the disk does.
class PromiseStore {
 public:
  // A missing file is no promise if PGDATA is absent too. FAILED_PRECONDITION if it is missing beside an initialised
  // PGDATA (`has_data`), DATA_LOSS if it can't be parsed: refuse to start then.
  static Result<std::unique_ptr<PromiseStore>> Open(fs::Disk& disk, const std::string& pooler_dir, bool has_data);
  // For a member under an identity that has never promised anything, whatever is there: nothing but the floor.
  static Result<std::unique_ptr<PromiseStore>> OpenAfresh(fs::Disk& disk, const std::string& pooler_dir,
                                                          const ::clustermetadata::LsnPosition& floor);

  // Null = none.
  const ::clustermetadata::TermRevocation* revocation() const;
  const ::clustermetadata::LsnPosition* recruit_floor() const;
  // The highest rule that this member ever followed.
  const ::clustermetadata::RuleNumber& highest_followed() const { return highest_followed_; }

  // Each is durable before it returns; on an error nothing has changed.
  Result<> StoreRevocation(const ::clustermetadata::TermRevocation& revocation);
  Result<> StoreRecruitFloor(const ::clustermetadata::LsnPosition& floor);
  Result<> ClearRecruitFloor();
  // No write if it isn't higher than what is stored.
  Result<> StoreFollowed(const ::clustermetadata::RuleNumber& rule);
  // Makes sure that a file exists, before PGDATA does.
  Result<> EnsureFile();

 private:
  PromiseStore(fs::Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  Result<> Load(bool has_data);
  Result<> Write(const ::clustermetadata::ConsensusPromises& promises, const ::clustermetadata::RuleNumber& followed);

  fs::Disk& disk_;
  const std::string path_;
  ::clustermetadata::ConsensusPromises promises_;
  ::clustermetadata::RuleNumber highest_followed_;
};

}  // namespace multigres::pooler::consensus
