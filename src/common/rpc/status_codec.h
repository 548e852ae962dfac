// A call's outcome on the wire: grpc-status, grpc-message, grpc-status-details-bin, and what HTTP says in their stead
// (gRPC's PROTOCOL-HTTP2.md and http-grpc-status-mapping.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/rpc/metadata_codec.h"
#include "tools/result/error.h"

namespace multigres::rpc {

// Bytes outside printable ASCII and '%' as %XX.
std::string PercentEncode(std::string_view text);
// Malformed escapes are kept as they are.
std::string PercentDecode(std::string_view text);

// Adds the trailers of the outcome. What would be too large for the peer is cut: the details first, then the message's
// tail, then the metadata. Illegal metadata is left out.
void AddStatus(HeaderList& headers, const Result<>& status, const Metadata& trailing, std::size_t max_list_bytes);

// What came in of a status; filled header by header.
struct ReceivedStatus {
  std::optional<int> code;
  std::string message;
  std::string details;

  // True if the header is one of the three.
  bool Take(std::string_view name, std::string_view value);
  Result<> ToResult() const;
};

Code CodeOfHttpStatus(int status);
// Of RST_STREAM; REFUSED_STREAM says that the call did not execute.
Error ErrorOfHttp2Code(std::uint32_t http2_error);

}  // namespace multigres::rpc
