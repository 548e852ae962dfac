// Numbers and letters of the frontend/backend protocol (PostgreSQL manual, chapter "Frontend/Backend Protocol").
#pragma once

#include <cstdint>

namespace multigres::pgwire {

constexpr std::uint32_t ProtocolVersion(std::uint16_t major, std::uint16_t minor) {
  return (static_cast<std::uint32_t>(major) << 16) | minor;
}
constexpr std::uint16_t MajorOf(std::uint32_t version) {
  return static_cast<std::uint16_t>(version >> 16);
}
constexpr std::uint16_t MinorOf(std::uint32_t version) {
  return static_cast<std::uint16_t>(version);
}

inline constexpr std::uint32_t kProtocol30 = ProtocolVersion(3, 0);
inline constexpr std::uint32_t kProtocol32 = ProtocolVersion(3, 2);
inline constexpr std::uint32_t kCancelRequestCode = ProtocolVersion(1234, 5678);
inline constexpr std::uint32_t kSslRequestCode = ProtocolVersion(1234, 5679);
inline constexpr std::uint32_t kGssencRequestCode = ProtocolVersion(1234, 5680);

// Bytes, the length word counted in.
inline constexpr std::uint32_t kMaxStartupPacket = 10000;
// Bytes of a message without its type and its length word.
inline constexpr std::uint32_t kMaxBody = 0x3ffffffe;
inline constexpr std::uint32_t kFrameHeaderSize = 5;
inline constexpr std::uint32_t kMinCancelKey = 4;
inline constexpr std::uint32_t kMaxCancelKey = 256;

// First byte of a TLS ClientHello: no startup packet within its limit begins so.
inline constexpr char kTlsHandshakeByte = 0x16;

// Messages of the frontend. 'p' is PasswordMessage, SASLInitialResponse, SASLResponse or GSSResponse, by context.
enum FrontendType : char {
  kBind = 'B',
  kClose = 'C',
  kCopyData = 'd',  // of the backend too, as the next two
  kCopyDone = 'c',
  kCopyFail = 'f',
  kDescribe = 'D',
  kExecute = 'E',
  kFlush = 'H',
  kFunctionCall = 'F',
  kParse = 'P',
  kPassword = 'p',
  kQuery = 'Q',
  kSync = 'S',
  kTerminate = 'X',
};

// Messages of the backend.
enum BackendType : char {
  kAuthentication = 'R',
  kBackendKeyData = 'K',
  kBindComplete = '2',
  kCloseComplete = '3',
  kCommandComplete = 'C',
  kCopyInResponse = 'G',
  kCopyOutResponse = 'H',
  kCopyBothResponse = 'W',
  kDataRow = 'D',
  kEmptyQueryResponse = 'I',
  kErrorResponse = 'E',
  kFunctionCallResponse = 'V',
  kNegotiateProtocolVersion = 'v',
  kNoData = 'n',
  kNoticeResponse = 'N',
  kNotificationResponse = 'A',
  kParameterDescription = 't',
  kParameterStatus = 'S',
  kParseComplete = '1',
  kPortalSuspended = 's',
  kReadyForQuery = 'Z',
  kRowDescription = 'T',
};

enum class AuthenticationCode : std::uint32_t {
  kOk = 0,
  kKerberosV5 = 2,
  kCleartextPassword = 3,
  kMd5Password = 5,
  kGss = 7,
  kGssContinue = 8,
  kSspi = 9,
  kSasl = 10,
  kSaslContinue = 11,
  kSaslFinal = 12,
};

// The status byte of ReadyForQuery.
enum class TransactionStatus : char {
  kIdle = 'I',
  kInBlock = 'T',
  kFailed = 'E',
};

}  // namespace multigres::pgwire
