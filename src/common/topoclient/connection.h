// The seam to one topology store: versioned keys, locks on leases, watches. Two backends: etcdtopo and memorytopo; one
// contract test runs on both (connection_contract.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/topoclient/errors.h"
#include "common/topoclient/lock.h"
#include "common/topoclient/watch.h"
#include "tools/async/awaitable.h"
#include "tools/async/cancel_token.h"
#include "tools/clock/clock.h"

namespace multigres::topo {

class LockSet;

// What bounds one operation. Passed by value; the token must outlive the operation.
struct CallContext {
  Deadline deadline;              // passed: kTimeout. Never = the backend's own limit (15 s)
  CancelToken* cancel = nullptr;  // cancelled: kInterrupted
  LockSet* held = nullptr;        // locks of the same piece of work: locking one again is an error, not a deadlock
};

struct VersionedValue {
  std::string contents;
  Version version = 0;
};

struct KeyValue {
  std::string key;  // relative to the connection's root
  std::string contents;
  Version version = 0;
  bool leased = false;
};

struct DirEntry {
  std::string name;
  bool is_directory = false;
  bool ephemeral = false;  // the key goes with a lease
  friend bool operator==(const DirEntry&, const DirEntry&) = default;
};

// Keys are clean relative paths ("poolers/multipooler-zone1-x/Pooler") below the connection's root. One reactor.
// Every operation fails with NoConnection() while there is no connection, at once (the first dial, up to 1 s, is waited
// for); reconnecting goes on in the background.
class Connection {
 public:
  virtual ~Connection() = default;

  // kNodeExists. Parents are implicit.
  virtual Awaitable<Result<Version>> Create(CallContext context, std::string path, std::string contents) = 0;
  // With a version: kBadVersion unless it is the key's. Without: upsert.
  virtual Awaitable<Result<Version>> Update(CallContext context, std::string path, std::string contents,
                                            std::optional<Version> version) = 0;
  // kNoNode. With a revision: the value as of then (kNoImplementation in memory).
  virtual Awaitable<Result<VersionedValue>> Get(CallContext context, std::string path,
                                                std::optional<Version> revision = std::nullopt) = 0;
  // All keys that begin with the raw string `prefix`, in order; none: kNoNode. kKeysOnly leaves `contents` empty.
  enum class ListWhat : std::uint8_t { kKeysAndValues, kKeysOnly };
  virtual Awaitable<Result<std::vector<KeyValue>>> List(CallContext context, std::string prefix,
                                                        ListWhat what = ListWhat::kKeysAndValues) = 0;
  // kNoNode; kBadVersion unless `version` is absent or the key's.
  virtual Awaitable<Result<>> Delete(CallContext context, std::string path, std::optional<Version> version) = 0;
  // See LockRequest. kTimeout, kInterrupted, kNodeExists, kNoNode; nothing stays behind after an error.
  virtual Awaitable<Result<std::unique_ptr<Lock>>> AcquireLock(CallContext context, LockRequest request) = 0;
  // Revokes whatever lease holds `key`; OK if none does.
  virtual Awaitable<Result<>> RevokeLock(CallContext context, std::string key) = 0;
  // Opens a watch of the key `path`, or of everything below the directory `path`; the initial state is in the result.
  // kNoNode if a watched key doesn't exist (a directory needn't).
  virtual Awaitable<Result<std::unique_ptr<Watch>>> OpenWatch(CallContext context, std::string path,
                                                              WatchScope scope) = 0;
  // Ends all watches (kInterrupted) and background work. Await it before destroying the connection; locks and watches
  // must not be used afterwards.
  virtual Awaitable<void> Close() = 0;
};

// Sorted unique children of a directory; kNoNode if there are none.
Awaitable<Result<std::vector<DirEntry>>> ListDir(Connection& connection, CallContext context, std::string path);

// Where a connection goes.
struct ConnectionSpec {
  std::string cell;  // "global" or a cell's name
  std::vector<std::string> addresses;
  std::string root;
  // Told "" when healthy, else the last error, on every change.
  std::function<void(const std::string&)> on_status;
};

// Makes connections of one kind. Never fails: a connection dials in the background.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<Connection> Connect(ConnectionSpec spec) = 0;
};

// "a//b/" -> "a/b": parts joined by single slashes, none at either end (but a leading one of the first part is kept).
std::string JoinPath(std::initializer_list<std::string_view> parts);

}  // namespace multigres::topo
