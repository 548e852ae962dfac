// The transaction of a session as its client sees it, with BEGIN deferred: no backend hears of a block before the first
// statement in it.
#pragma once

#include <cstdint>
#include <string>

namespace multigres::gateway::session {

// The status byte of ReadyForQuery.
enum class TransactionStatus : char { kIdle = 'I', kInBlock = 'T', kFailed = 'E' };

class Transaction {
 public:
  TransactionStatus status() const { return status_; }
  bool idle() const { return status_ == TransactionStatus::kIdle; }
  bool failed() const { return status_ == TransactionStatus::kFailed; }
  // Opened by the gateway for a batch or a pipeline; becomes explicit when the client's BEGIN adopts it.
  bool implicit() const { return implicit_; }
  // The BEGIN still to be sent ahead of the first statement.
  bool begin_unsent() const { return begin_unsent_; }
  // As the client wrote it, with its options; kept while the block lasts.
  const std::string& begin_text() const { return begin_text_; }

  void OpenExplicit(std::string begin_text) { Open(std::move(begin_text), false); }
  void OpenImplicit() { Open("BEGIN", true); }
  // The client's BEGIN in an implicit block. `begin_text` replaces ours if that is unsent.
  void Adopt(std::string begin_text) {
    implicit_ = false;
    if (begin_unsent_) begin_text_ = std::move(begin_text);
  }
  void BeginSent() { begin_unsent_ = false; }
  void Fail() {
    if (!idle()) status_ = TransactionStatus::kFailed;
  }
  // ROLLBACK TO succeeded.
  void Recover() {
    if (!idle()) status_ = TransactionStatus::kInBlock;
  }
  // COMMIT or ROLLBACK AND CHAIN succeeded: a new block, begun already wherever the old one was.
  void Chain() { status_ = TransactionStatus::kInBlock; }
  void Close() {
    status_ = TransactionStatus::kIdle;
    implicit_ = false;
    begin_unsent_ = false;
  }

 private:
  void Open(std::string begin_text, bool implicit) {
    status_ = TransactionStatus::kInBlock;
    implicit_ = implicit;
    begin_unsent_ = true;
    begin_text_ = std::move(begin_text);
  }

  TransactionStatus status_ = TransactionStatus::kIdle;
  bool implicit_ = false;
  bool begin_unsent_ = false;
  std::string begin_text_;
};

}  // namespace multigres::gateway::session
