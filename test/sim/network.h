// Messages between hosts in virtual time: they take a while, get lost, come twice and overtake each other, and links
// break in one direction or both.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <utility>

#include "tools/clock/clock.h"
#include "tools/random/random.h"

namespace multigres::sim {

class Network {
 public:
  Network(Clock& clock, Random& random) : clock_(clock), random_(random) {}

  // What happens to every message, in per mille.
  struct Weather {
    int lost = 0;
    int doubled = 0;
    int slow = 20;  // takes up to half a second
  };
  Weather weather;

  // Runs `deliver` at the other host, later; perhaps twice, perhaps never.
  void Send(int from, int to, std::function<void()> deliver);
  // What is due.
  void Deliver();

  void Cut(int from, int to) { cut_.insert({from, to}); }
  void CutBoth(int a, int b) {
    Cut(a, b);
    Cut(b, a);
  }
  void HealAll() { cut_.clear(); }
  void Heal(int from, int to) { cut_.erase({from, to}); }
  bool Passes(int from, int to) const { return !cut_.contains({from, to}); }
  bool PassesBoth(int a, int b) const { return Passes(a, b) && Passes(b, a); }

 private:
  Duration Delay();

  Clock& clock_;
  Random& random_;
  std::set<std::pair<int, int>> cut_;
  struct Message {
    int from;
    int to;
    std::function<void()> deliver;
  };
  std::multimap<TimePoint, Message> due_;  // equal times in the order of sending
};

}  // namespace multigres::sim
