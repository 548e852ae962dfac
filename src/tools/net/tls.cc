#include "tools/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

#include "tools/net/tls_context.h"
#include "tools/result/check.h"

namespace multigres {

namespace {

constexpr std::size_t kRecordBytes = 16 * 1024;  // plain text of one TLS record at most
constexpr std::size_t kBatchBytes = 64 * 1024;   // sealed at once before the stream below is asked to take it

Error ClosedError() {
  return Error(Code::kUnavailable, "connection closed");
}

// Skips the first bytes of a vector of buffers and hands out what follows.
class Gather {
 public:
  explicit Gather(std::span<const iovec> buffers) : buffers_(buffers) {}

  std::size_t Skip(std::size_t bytes) {
    std::size_t skipped = 0;
    while (skipped < bytes && !AtEnd()) {
      const std::size_t n = std::min(bytes - skipped, buffers_[0].iov_len - offset_);
      Advance(n);
      skipped += n;
    }
    return skipped;
  }
  bool AtEnd() {
    while (!buffers_.empty() && offset_ == buffers_[0].iov_len) {
      buffers_ = buffers_.subspan(1);
      offset_ = 0;
    }
    return buffers_.empty();
  }
  // The next bytes for one record: in place if one buffer fills it, else copied to `scratch`.
  std::span<const char> Next(std::span<char, kRecordBytes> scratch) {
    const char* first = static_cast<const char*>(buffers_[0].iov_base) + offset_;
    const std::size_t left = buffers_[0].iov_len - offset_;
    if (left >= kRecordBytes || buffers_.size() == 1) {
      const std::size_t n = std::min(left, kRecordBytes);
      Advance(n);
      return {first, n};
    }
    std::size_t filled = 0;
    while (filled < scratch.size() && !AtEnd()) {
      const std::size_t n = std::min(scratch.size() - filled, buffers_[0].iov_len - offset_);
      std::memcpy(scratch.data() + filled, static_cast<const char*>(buffers_[0].iov_base) + offset_, n);
      Advance(n);
      filled += n;
    }
    return {scratch.data(), filled};
  }

 private:
  void Advance(std::size_t n) { offset_ += n; }

  std::span<const iovec> buffers_;
  std::size_t offset_ = 0;
};

class OpensslStream final : public TlsStream {
 public:
  OpensslStream(std::unique_ptr<ByteStream> below, std::shared_ptr<OpensslContext> context)
      : below_(std::move(below)), context_(std::move(context)), ssl_(SSL_new(context_->ctx())) {
    CHECK(ssl_ != nullptr);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    CHECK(in_ != nullptr && out_ != nullptr);
    SSL_set_bio(ssl_, in_, out_);  // owned by ssl_
    if (context_->server()) {
      SSL_set_accept_state(ssl_);
    } else {
      SSL_set_connect_state(ssl_);
    }
  }
  ~OpensslStream() override {
    Close();
    SSL_free(ssl_);
  }

  void Feed(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
  }
  Result<> SetServerName(const std::string& name);
  Awaitable<Result<>> Handshake(Reactor& reactor, Deadline deadline);

  Awaitable<Result<>> WaitReadable() override {
    if (eof_below_ || SSL_pending(ssl_) > 0 || BIO_ctrl_pending(in_) > 0) co_return Result<>{};
    co_return co_await below_->WaitReadable();
  }
  Awaitable<Result<>> WaitWritable() override { return below_->WaitWritable(); }
  Result<IoOutcome> TryRead(std::span<std::byte> buffer) override;
  Result<IoOutcome> TryWrite(std::span<const iovec> buffers) override;
  void CancelWaits() override { below_->CancelWaits(); }
  void ShutdownWrite() override {
    SendCloseNotify();
    below_->ShutdownWrite();
  }
  void Close() override {
    if (closed_) return;
    closed_ = true;
    SendCloseNotify();
    below_->Close();
  }

  std::string PeerName() const override { return below_->PeerName(); }
  std::string PeerCertificate() const override;
  int fd() const override { return below_->fd(); }
  std::string_view alpn() const override {
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_, &name, &length);
    return {reinterpret_cast<const char*>(name), length};
  }
  std::string_view version() const override { return SSL_get_version(ssl_); }
  std::string_view cipher() const override { return SSL_get_cipher_name(ssl_); }
  int cipher_bits() const override { return SSL_get_cipher_bits(ssl_, nullptr); }
  const TlsContext& context() const override { return *context_; }

 private:
  Awaitable<Result<>> RunHandshake();
  // Sealed bytes to the stream below; kDone once none is left here.
  Result<IoStatus> Flush();
  // More sealed bytes from the stream below; kDone if there were some.
  Result<IoStatus> Fill();
  Result<> Seal(std::span<const char> plain);
  Error HandshakeError();
  void SendCloseNotify();

  std::unique_ptr<ByteStream> below_;
  std::shared_ptr<OpensslContext> context_;
  SSL* ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  std::size_t unreported_ = 0;  // plain bytes sealed in out_, not yet counted as written
  bool eof_below_ = false;
  bool established_ = false;
  bool failed_ = false;
  bool notified_ = false;
  bool closed_ = false;
};

Result<> OpensslStream::SetServerName(const std::string& name) {
  if (name.empty()) return {};
  boost::system::error_code not_ip;
  asio::ip::make_address(name, not_ip);
  if (not_ip) SSL_set_tlsext_host_name(ssl_, name.c_str());
  if (!context_->verify()) return {};
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int ok = not_ip ? X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size())
                        : X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str());
  if (ok != 1) return Fail(Code::kInvalidArgument, "bad TLS server name '" + name + "'");
  return {};
}

Result<IoStatus> OpensslStream::Flush() {
  while (BIO_ctrl_pending(out_) > 0) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    const iovec vector{data, static_cast<std::size_t>(size)};
    auto outcome = below_->TryWrite({&vector, 1});
    if (!outcome) return std::unexpected(std::move(outcome.error()));
    if (outcome->bytes == static_cast<std::size_t>(size)) {
      BIO_reset(out_);
    } else {
      std::array<char, 4096> sink;
      for (std::size_t left = outcome->bytes; left > 0;) {
        const int n = BIO_read(out_, sink.data(), static_cast<int>(std::min(left, sink.size())));
        left -= static_cast<std::size_t>(n);
      }
    }
    if (outcome->status == IoStatus::kWouldBlock) return IoStatus::kWouldBlock;
  }
  return IoStatus::kDone;
}

Result<IoStatus> OpensslStream::Fill() {
  if (eof_below_) return IoStatus::kEof;
  std::array<std::byte, kRecordBytes + 512> buffer;
  auto outcome = below_->TryRead(buffer);
  if (!outcome) return std::unexpected(std::move(outcome.error()));
  if (outcome->bytes > 0) BIO_write(in_, buffer.data(), static_cast<int>(outcome->bytes));
  if (outcome->status == IoStatus::kEof) eof_below_ = true;
  return outcome->status;
}

Error OpensslStream::HandshakeError() {
  failed_ = true;
  const long verify = SSL_get_verify_result(ssl_);
  std::string reason = TakeOpensslError();
  if (verify != X509_V_OK) reason.append(": ").append(X509_verify_cert_error_string(verify));
  return Error(Code::kUnavailable, "TLS handshake: " + reason);
}

Awaitable<Result<>> OpensslStream::RunHandshake() {
  while (true) {
    ERR_clear_error();
    const int rc = SSL_do_handshake(ssl_);
    const int status = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, rc);
    std::optional<Error> failure;
    if (status != SSL_ERROR_NONE && status != SSL_ERROR_WANT_READ) failure = HandshakeError();
    // Also the alert that tells the peer why.
    while (true) {
      auto flushed = Flush();
      if (failure) co_return std::unexpected(std::move(*failure));
      if (!flushed) co_return Fail(std::move(flushed), "TLS handshake");
      if (*flushed == IoStatus::kDone) break;
      auto writable = co_await below_->WaitWritable();
      if (!writable) co_return Fail(std::move(writable), "TLS handshake");
    }
    if (status == SSL_ERROR_NONE) break;
    auto filled = Fill();
    if (!filled) co_return Fail(std::move(filled), "TLS handshake");
    if (*filled == IoStatus::kEof) co_return Fail(Code::kUnavailable, "TLS handshake: connection closed by peer");
    if (*filled == IoStatus::kWouldBlock) {
      auto readable = co_await below_->WaitReadable();
      if (!readable) co_return Fail(std::move(readable), "TLS handshake");
    }
  }
  if (context_->require_alpn() && alpn().empty()) {
    co_return Fail(Code::kUnavailable, "TLS handshake: no application protocol agreed on");
  }
  established_ = true;
  co_return Result<>{};
}

Awaitable<Result<>> OpensslStream::Handshake(Reactor& reactor, Deadline deadline) {
  bool late = false;
  Timer timer;
  if (!deadline.IsNever()) {
    timer = reactor.clock().ScheduleAt(deadline.at(), [this, &late] {
      late = true;
      below_->Close();
    });
  }
  auto done = co_await RunHandshake();
  timer.Cancel();
  if (late) co_return Fail(Code::kDeadlineExceeded, "TLS handshake: timed out");
  co_return done;
}

Result<IoOutcome> OpensslStream::TryRead(std::span<std::byte> buffer) {
  if (closed_) return std::unexpected(ClosedError());
  std::size_t total = 0;
  while (total < buffer.size()) {
    ERR_clear_error();
    const int n = SSL_read(ssl_, buffer.data() + total, static_cast<int>(std::min(buffer.size() - total, kBatchBytes)));
    if (n > 0) {
      total += static_cast<std::size_t>(n);
      continue;
    }
    const int status = SSL_get_error(ssl_, n);
    // Answers to the peer's key updates; what doesn't go now goes with the next write.
    if (BIO_ctrl_pending(out_) > 0) static_cast<void>(Flush());
    if (status == SSL_ERROR_ZERO_RETURN) {
      eof_below_ = true;
      break;
    }
    if (status != SSL_ERROR_WANT_READ) {
      failed_ = true;
      if (total > 0) break;
      return Fail(Code::kUnavailable, "TLS read: " + TakeOpensslError());
    }
    if (total > 0) break;
    auto filled = Fill();
    if (!filled) return std::unexpected(std::move(filled.error()));
    if (*filled != IoStatus::kDone) return IoOutcome{*filled, 0};
  }
  if (total == 0 && !buffer.empty()) return IoOutcome{IoStatus::kEof, 0};
  return IoOutcome{IoStatus::kDone, total};
}

Result<> OpensslStream::Seal(std::span<const char> plain) {
  while (!plain.empty()) {
    ERR_clear_error();
    const int n = SSL_write(ssl_, plain.data(), static_cast<int>(plain.size()));
    if (n <= 0) {
      failed_ = true;
      return Fail(Code::kUnavailable, "TLS write: " + TakeOpensslError());
    }
    unreported_ += static_cast<std::size_t>(n);
    plain = plain.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<IoOutcome> OpensslStream::TryWrite(std::span<const iovec> buffers) {
  if (closed_ || notified_) return std::unexpected(ClosedError());
  Gather gather(buffers);
  gather.Skip(unreported_);
  std::size_t written = 0;
  std::array<char, kRecordBytes> scratch;
  while (true) {
    auto flushed = Flush();
    if (!flushed) return std::unexpected(std::move(flushed.error()));
    if (*flushed == IoStatus::kWouldBlock) return IoOutcome{IoStatus::kWouldBlock, written};
    written += std::exchange(unreported_, 0);
    if (gather.AtEnd()) return IoOutcome{IoStatus::kDone, written};
    while (unreported_ < kBatchBytes && !gather.AtEnd()) {
      auto sealed = Seal(gather.Next(scratch));
      if (!sealed) return std::unexpected(std::move(sealed.error()));
    }
  }
}

void OpensslStream::SendCloseNotify() {
  if (notified_ || !established_ || failed_) return;
  notified_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  static_cast<void>(Flush());
  ERR_clear_error();
}

std::string OpensslStream::PeerCertificate() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  unsigned char* bytes = nullptr;
  const int length = i2d_X509(certificate, &bytes);
  if (length <= 0) return {};
  std::string der(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(length));
  OPENSSL_free(bytes);
  return der;
}

Awaitable<Result<std::unique_ptr<TlsStream>>> RunHandshakeOf(Reactor& reactor, std::unique_ptr<OpensslStream> stream,
                                                             Deadline deadline) {
  auto done = co_await stream->Handshake(reactor, deadline);
  if (!done) {
    stream->Close();
    co_return std::unexpected(std::move(done.error()).WithExecution(Execution::kDidNotExecute));
  }
  co_return std::unique_ptr<TlsStream>(std::move(stream));
}

using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

X509Ptr ParseDer(std::string_view der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  X509Ptr certificate(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())), X509_free);
  ERR_clear_error();
  return certificate;
}

}  // namespace

Awaitable<Result<std::unique_ptr<TlsStream>>> TlsAccept(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                        std::shared_ptr<TlsContext> context, Deadline deadline,
                                                        std::string initial) {
  auto own = std::static_pointer_cast<OpensslContext>(std::move(context));
  CHECK(own->server());
  auto tls = std::make_unique<OpensslStream>(std::move(stream), std::move(own));
  tls->Feed(initial);
  co_return co_await RunHandshakeOf(reactor, std::move(tls), deadline);
}

Awaitable<Result<std::unique_ptr<TlsStream>>> TlsConnect(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                         std::shared_ptr<TlsContext> context, std::string server_name,
                                                         Deadline deadline) {
  auto own = std::static_pointer_cast<OpensslContext>(std::move(context));
  CHECK(!own->server());
  auto tls = std::make_unique<OpensslStream>(std::move(stream), std::move(own));
  auto named = tls->SetServerName(server_name);
  if (!named) co_return std::unexpected(std::move(named.error()));
  co_return co_await RunHandshakeOf(reactor, std::move(tls), deadline);
}

std::string CertificateSubject(std::string_view der) {
  const X509Ptr certificate = ParseDer(der);
  if (!certificate) return {};
  BIO* text = BIO_new(BIO_s_mem());
  CHECK(text != nullptr);
  X509_NAME_print_ex(text, X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(text, &data);
  std::string subject(data, static_cast<std::size_t>(size));
  BIO_free(text);
  return subject;
}

std::string CertificateCommonName(std::string_view der) {
  const X509Ptr certificate = ParseDer(der);
  if (!certificate) return {};
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return {};
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (length < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(length));
  OPENSSL_free(utf8);
  // A name with an embedded NUL could pass for another one (CVE-2009-2408).
  return text.find('\0') == std::string::npos ? text : std::string();
}

}  // namespace multigres
