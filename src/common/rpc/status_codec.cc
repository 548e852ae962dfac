#include "common/rpc/status_codec.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>

#include "common/rpc/base64.h"
#include "common/rpc/limits.h"

namespace multigres::rpc {

namespace {

constexpr std::string_view kStatus = "grpc-status";
constexpr std::string_view kMessage = "grpc-message";
constexpr std::string_view kDetails = "grpc-status-details-bin";
// Some peers accept no more than 8 KiB of metadata; a message that was cut keeps well below.
constexpr std::size_t kCutMessageBytes = 2 * 1024;
constexpr int kMaxGrpcCode = 16;

int WireCode(Code code) {
  const int number = static_cast<int>(code);
  return number > kMaxGrpcCode ? static_cast<int>(Code::kUnknown) : number;
}

std::string_view CodeText(int code) {
  static constexpr std::string_view kTexts[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                "9", "10", "11", "12", "13", "14", "15", "16"};
  return kTexts[code];
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Cut between escapes, so that the rest still decodes.
std::string CutEncoded(std::string text, std::size_t size) {
  if (text.size() <= size) return text;
  if (text[size - 1] == '%') {
    size -= 1;
  } else if (text[size - 2] == '%') {
    size -= 2;
  }
  text.resize(size);
  return text + "...";
}

std::size_t FieldBytes(std::string_view name, std::size_t value_bytes) {
  return value_bytes == 0 ? 0 : name.size() + value_bytes + kHeaderOverheadBytes;
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (c >= 0x20 && c <= 0x7e && c != '%') {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.push_back('%');
      encoded.push_back(kHex[byte >> 4]);
      encoded.push_back(kHex[byte & 15]);
    }
  }
  // Blanks at the ends are not legal in a header's value (RFC 9113 8.2.1).
  if (encoded.starts_with(' ')) encoded.replace(0, 1, "%20");
  if (encoded.ends_with(' ')) encoded.replace(encoded.size() - 1, 1, "%20");
  return encoded;
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      decoded.push_back(static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2])));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

void AddStatus(HeaderList& headers, const Result<>& status, const Metadata& trailing, std::size_t max_list_bytes) {
  if (status) {
    headers.Add(kStatus, CodeText(0));
  } else {
    headers.Add(kStatus, CodeText(WireCode(status.error().code())));
  }
  HeaderList metadata;
  metadata.Add(trailing);
  std::string message = status ? std::string() : PercentEncode(status.error().message());
  std::string details = status ? std::string() : EncodeBase64(status.error().status_details());
  const auto fits = [&] {
    const std::size_t bytes = headers.bytes() + metadata.bytes() + FieldBytes(kMessage, message.size()) +
                              FieldBytes(kDetails, details.size());
    return bytes <= max_list_bytes && message.size() <= kMaxHeaderBytes && details.size() <= kMaxHeaderBytes;
  };
  if (!fits()) details.clear();
  if (!fits()) message = CutEncoded(std::move(message), kCutMessageBytes);
  if (fits() && metadata.longest() <= kMaxHeaderBytes && metadata.legal()) headers.Add(trailing);
  if (!message.empty()) headers.AddMade(kMessage, std::move(message));
  if (!details.empty()) headers.AddMade(kDetails, std::move(details));
}

bool ReceivedStatus::Take(std::string_view name, std::string_view value) {
  if (name == kStatus) {
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    code = error == std::errc() && end == value.data() + value.size() ? number : static_cast<int>(Code::kUnknown);
    return true;
  }
  if (name == kMessage) {
    message = PercentDecode(value);
    return true;
  }
  if (name == kDetails) {
    details = DecodeBase64(value).value_or(std::string());
    return true;
  }
  return false;
}

Result<> ReceivedStatus::ToResult() const {
  const int number = code.value_or(static_cast<int>(Code::kUnknown));
  if (number == 0) return {};
  const Code known = number > 0 && number <= kMaxGrpcCode ? static_cast<Code>(number) : Code::kUnknown;
  return std::unexpected(Error(known, message).WithStatusDetails(details));
}

Code CodeOfHttpStatus(int status) {
  switch (status) {
    case 400:
      return Code::kInternal;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code::kUnavailable;
    default:
      return Code::kUnknown;
  }
}

Error ErrorOfHttp2Code(std::uint32_t http2_error) {
  const std::string text = fmt::format("stream reset by peer: {}", nghttp2_http2_strerror(http2_error));
  switch (http2_error) {
    case NGHTTP2_REFUSED_STREAM:
      return Error(Code::kUnavailable, text).WithExecution(Execution::kDidNotExecute);
    case NGHTTP2_CANCEL:
      return Error(Code::kCanceled, text);
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return Error(Code::kResourceExhausted, text);
    case NGHTTP2_INADEQUATE_SECURITY:
      return Error(Code::kPermissionDenied, text);
    default:
      return Error(Code::kInternal, text);
  }
}

}  // namespace multigres::rpc
