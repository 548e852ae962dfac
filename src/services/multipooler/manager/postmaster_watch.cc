#include "services/multipooler/manager/postmaster_watch.h"

#include "common/pgdata/postmaster_file.h"
#include "tools/fs/file.h"

namespace multigres::pooler::manager {

PostmasterWatch::Sight PostmasterWatch::Look() {
  if (postmaster_ && !postmaster_->exit_status()) return Sight::kRuns;
  postmaster_.reset();
  if (auto found = pgdata::FindPostmaster(data_dir_)) {
    auto adopted = Process::Adopt(reactor_, std::move(found->process));
    if (adopted) {
      postmaster_.emplace(std::move(*adopted));
      seen_one_ = true;
      return Sight::kRuns;
    }
  }
  // A server removes the file when it ends in order.
  if (seen_one_ || !fs::Exists(data_dir_ + "/postmaster.pid")) return Sight::kGone;
  return Sight::kUnknown;
}

Awaitable<void> PostmasterWatch::WaitForEnd() {
  if (postmaster_) (void)co_await postmaster_->Wait();
}

}  // namespace multigres::pooler::manager
