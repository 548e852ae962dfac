// A COPY stream whose answer to INITIATE has been read ahead.
#pragma once

#include <memory>
#include <optional>

#include "common/queryservice/query_service.h"
#include "multipoolerservice.pb.h"

namespace multigres::gateway::scatterconn {

class PeekedCopy final : public queryservice::CopyStream {
 public:
  // Reads the first message. An error if the COPY provably did not begin, or never will by this stream; an ERROR frame
  // of PostgreSQL's own is left in the stream for its reader.
  static Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> Open(
      std::unique_ptr<queryservice::CopyStream> stream);

  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override {
    return stream_->Send(message);
  }
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override;

 private:
  explicit PeekedCopy(std::unique_ptr<queryservice::CopyStream> stream) : stream_(std::move(stream)) {}

  std::unique_ptr<queryservice::CopyStream> stream_;
  std::optional<multipoolerservice::CopyBidiExecuteResponse> first_;
  std::optional<Error> failure_;  // that follows an ERROR frame
};

}  // namespace multigres::gateway::scatterconn
