// Where hanging handlers of the interoperability services meet those who watch and release them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace multigres::interop {

enum class Phase : std::uint8_t { kStarted, kCancelled, kReleased };

// Thread-safe. Callbacks run on whichever thread reaches the phase, without a lock held.
class Hub {
 public:
  // The first handler of `key` has come so far; it is remembered.
  void Reach(const std::string& key, Phase phase) {
    std::vector<Callback> due;
    {
      const std::scoped_lock lock(mutex_);
      reached_.insert({key, phase});
      due = std::exchange(waiting_[{key, phase}], {});
    }
    for (Callback& callback : due) callback();
  }

  // Runs `callback` once, at once if the phase has been reached.
  void When(const std::string& key, Phase phase, std::move_only_function<void()> callback) {
    {
      const std::scoped_lock lock(mutex_);
      if (!reached_.contains({key, phase})) {
        waiting_[{key, phase}].push_back(std::move(callback));
        return;
      }
    }
    callback();
  }

 private:
  using Callback = std::move_only_function<void()>;
  using Point = std::pair<std::string, Phase>;

  std::mutex mutex_;
  std::set<Point> reached_;
  std::map<Point, std::vector<Callback>> waiting_;
};

}  // namespace multigres::interop
