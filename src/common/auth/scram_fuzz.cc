// What an unauthenticated peer may send: the messages of an exchange, separated by line ends. Nobody gets in without
// the password, whatever is said.
#include <cstddef>
#include <cstdint>

#include "common/auth/scram_client.h"
#include "common/auth/scram_server.h"
#include "tools/result/check.h"

namespace multigres::auth {
namespace {

std::string_view TakeLine(std::string_view& input) {
  const auto end = input.find('\n');
  const auto line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

void AttackServer(std::string_view input, bool encrypted) {
  static const ScramVerifier verifier = MakeScramVerifier("secret", "0123456789abcdef", 1);
  ScramServerOptions options;
  options.user = "alice";
  options.verifier = verifier;
  options.nonce = "servernonce";
  options.encrypted = encrypted;
  if (encrypted) options.channel_binding_data = "hash";
  ScramServer server(std::move(options));
  const auto mechanism = TakeLine(input);
  auto challenge = server.Begin(mechanism, TakeLine(input));
  if (!challenge) return;
  CHECK(!server.Finish(TakeLine(input)));
}

void AttackClient(std::string_view input) {
  ScramClientOptions options;
  options.secret = ScramKeys();
  options.nonce = "clientnonce";
  ScramClient client(std::move(options));
  const std::string_view offered[] = {kScramSha256};
  CHECK(client.ChooseMechanism(offered).has_value());
  client.ClientFirst();
  if (!client.ClientFinal(TakeLine(input))) return;
  (void)client.VerifyServerFinal(TakeLine(input));
}

}  // namespace
}  // namespace multigres::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multigres::auth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  AttackServer(input, false);
  AttackServer(input, true);
  AttackClient(input);
  const auto verifier = ScramVerifier::Parse(input);
  if (verifier) CHECK(ScramVerifier::Parse(verifier->ToString()).has_value());
  return 0;
}
