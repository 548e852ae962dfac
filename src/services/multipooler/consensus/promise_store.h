// What this member has promised, on disk: a promise that is forgotten loses writes.
#pragma once

#include <memory>
#include <string>

#include "clustermetadata.pb.h"
#include "services/multipooler/replication/data_directory.h"
#include "tools/fs/disk.h"
#include "tools/result/error.h"

namespace multigres::pooler::consensus {

// {pooler_dir}/consensus_promises.json, mode 0600, replaced atomically and synced with its folder. Memory follows disk,
// never the other way round. One reactor; the calls block for as long as the disk does.
//
// Each write has a number, and PGDATA's mark has the member's name and the number of the last write. The file is always
// written first, and says up to which number the mark is known to be there too: so whichever of both is an older copy
// than the other shows, as far as there were writes in between.
class PromiseStore {
 public:
  struct Place {
    fs::Disk& disk;
    std::string pooler_dir;
    replication::DataDirectory& data;
    std::string member;
  };
  // A missing file is no promise if PGDATA is absent too. FAILED_PRECONDITION if it is missing beside an initialised
  // PGDATA, or older than what PGDATA was last marked with; DATA_LOSS if it can't be parsed: refuse to start then.
  static Result<std::unique_ptr<PromiseStore>> Open(Place place);
  // For a member under an identity that has never promised anything, whatever is there: nothing but the floor.
  static Result<std::unique_ptr<PromiseStore>> OpenAfresh(Place place, const ::clustermetadata::LsnPosition& floor);

  // When it was opened, PGDATA was an older copy than the promises, or another member's: what this member has
  // acknowledged since may be missing there.
  bool data_was_replaced() const { return data_was_replaced_; }
  // PGDATA is the right one, whatever it was marked with: it has just been made, copied or rewound.
  Result<> MarkData();

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
  explicit PromiseStore(Place place);
  Result<> Load();
  Result<> CompareWithData();
  Result<> Write(const ::clustermetadata::ConsensusPromises& promises, const ::clustermetadata::RuleNumber& followed);

  fs::Disk& disk_;
  const std::string path_;
  replication::DataDirectory& data_;
  const std::string member_;
  ::clustermetadata::ConsensusPromises promises_;
  ::clustermetadata::RuleNumber highest_followed_;
  std::int64_t writes_ = 0;
  std::int64_t marked_ = 0;  // of them, the last one that is known to be in PGDATA
  bool data_was_replaced_ = false;
};

}  // namespace multigres::pooler::consensus
