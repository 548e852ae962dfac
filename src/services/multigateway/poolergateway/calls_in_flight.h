// The calls of one reactor to one pooler that are under way as to a leader, so that they can be ended together.
#pragma once

namespace multigres::rpc {
class ClientCall;
}

namespace multigres::gateway::poolergateway {

// Calls enter when they start and leave when they end, on the hot path: two pointers each, no allocation.
class CallsInFlight {
 public:
  class Call {
   public:
    // `tracked` false: a call that another leader doesn't concern.
    Call(CallsInFlight& calls, rpc::ClientCall& call, bool tracked);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    // Ended from here, not by the pooler nor by its client.
    bool abandoned() const { return abandoned_; }

   private:
    friend class CallsInFlight;
    rpc::ClientCall& call_;
    CallsInFlight* calls_;
    Call* previous_ = nullptr;
    Call* next_ = nullptr;
    bool marked_ = false;
    bool abandoned_ = false;
  };

  // Ends those that were marked, or all, and marks the rest.
  void AbandonMarked() { Abandon(false); }
  void AbandonAll() { Abandon(true); }
  bool empty() const { return first_ == nullptr; }

 private:
  void Abandon(bool all);

  Call* first_ = nullptr;
};

}  // namespace multigres::gateway::poolergateway
