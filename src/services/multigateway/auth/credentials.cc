#include "services/multigateway/auth/credentials.h"

#include "common/topoclient/names.h"
#include "multipoolerservice.pb.h"
#include "services/multigateway/buffer/attempts.h"

namespace multigres::gateway::auth {

namespace {
constexpr Duration kFreshness = std::chrono::seconds(1);
}  // namespace

CredentialSource::CredentialSource(Reactor& reactor, queryservice::QueryService& pooler, buffer::FailoverBuffer& buffer)
    : reactor_(reactor), pooler_(pooler), buffer_(buffer) {}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> CredentialSource::Ask(std::string database,
                                                                                        std::string user,
                                                                                        Deadline deadline) {
  multipoolerservice::GetAuthCredentialsRequest request;
  request.set_database(std::move(database));
  request.set_username(std::move(user));
  const queryservice::CallScope scope{deadline, nullptr};
  buffer::Attempts attempts(buffer_, reactor_.clock(),
                            {.database = request.database(),
                             .table_group = topo::kDefaultTableGroup,
                             .shard = topo::kDefaultShard,
                             .replay = buffer::Replay::kAlways},
                            scope, {});
  while (true) {
    auto response = co_await pooler_.GetAuthCredentials(request, scope);
    if (response || !co_await attempts.Again(response.error(), false)) co_return response;
  }
}

Awaitable<Result<Credentials>> CredentialSource::LookUp(std::string database, std::string user, Deadline deadline) {
  ForgetOld();
  const Key key(database, user);
  if (auto it = lookups_.find(key); it != lookups_.end()) {
    const auto lookup = it->second;
    if (!lookup->finished && !co_await lookup->done.WaitUntil(reactor_.clock(), deadline)) {
      co_return Fail(Code::kDeadlineExceeded, "08006", "canceling authentication due to timeout");
    }
    if (lookup->finished) co_return lookup->result;
  }
  const auto lookup = std::make_shared<Lookup>();
  lookups_[key] = lookup;
  // However this ends, those who wait for it go on.
  struct Finish {
    CredentialSource& source;
    const Key& key;
    Lookup& lookup;
    ~Finish() {
      lookup.finished = true;
      lookup.finished_at = source.reactor_.clock().Now();
      if (!lookup.result) source.lookups_.erase(key);
      lookup.done.Set();
    }
  } finish{*this, key, *lookup};
  lookup->result = Fail(Code::kUnavailable, "57P03", "database is temporarily unavailable; please retry");
  auto response = co_await Ask(std::move(database), std::move(user), deadline);
  if (response) {
    lookup->result = std::make_shared<const multipoolerservice::GetAuthCredentialsResponse>(std::move(*response));
  } else if (response.error().code() == Code::kNotFound) {
    lookup->result = Credentials();
  } else {
    lookup->result = std::unexpected(std::move(response.error()));
  }
  co_return lookup->result;
}

void CredentialSource::ForgetOld() {
  const TimePoint now = reactor_.clock().Now();
  std::erase_if(lookups_, [&](const auto& entry) {
    return entry.second->finished && now - entry.second->finished_at >= kFreshness;
  });
}

}  // namespace multigres::gateway::auth
