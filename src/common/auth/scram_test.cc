#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/auth/base64.h"
#include "common/auth/sasl_prep.h"
#include "common/auth/scram_client.h"
#include "common/auth/scram_message.h"
#include "common/auth/scram_server.h"

namespace multigres::auth {
namespace {

// RFC 7677, section 3.
constexpr std::string_view kClientNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
constexpr std::string_view kSalt = "W22ZaJ0SNY7soEsUEjb6gQ==";

ScramVerifier VectorVerifier() {
  return MakeScramVerifier("pencil", *Base64Decode(kSalt), 4096);
}

ScramServerOptions ServerOptions(ScramVerifier verifier) {
  ScramServerOptions options;
  options.user = "alice";
  options.verifier = std::move(verifier);
  return options;
}

ScramClientOptions ClientOptions(std::variant<std::string, ScramKeys> secret) {
  ScramClientOptions options;
  options.secret = std::move(secret);
  return options;
}

// Runs a whole exchange; gives the first error of either side.
Result<ScramKeys> Exchange(ScramServer& server, ScramClient& client) {
  auto mechanism = client.ChooseMechanism(server.Mechanisms());
  if (!mechanism) return std::unexpected(mechanism.error());
  auto challenge = server.Begin(*mechanism, client.ClientFirst());
  if (!challenge) return std::unexpected(challenge.error());
  auto response = client.ClientFinal(*challenge);
  if (!response) return std::unexpected(response.error());
  auto outcome = server.Finish(*response);
  if (!outcome) return std::unexpected(outcome.error());
  auto verified = client.VerifyServerFinal(*outcome);
  if (!verified) return std::unexpected(verified.error());
  return server.keys();
}

TEST(ScramClient, ReproducesTheExchangeOfRfc7677) {
  auto options = ClientOptions(std::string("pencil"));
  options.user = "user";
  options.nonce = kClientNonce;
  ScramClient client(std::move(options));
  const std::string_view offered[] = {kScramSha256};
  ASSERT_EQ(client.ChooseMechanism(offered).value(), kScramSha256);
  EXPECT_EQ(client.ClientFirst(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(client.ClientFinal(kServerFirst).value(), kClientFinal);
  EXPECT_TRUE(client.VerifyServerFinal(kServerFinal));
}

TEST(ScramServer, ReproducesTheExchangeOfRfc7677) {
  auto options = ServerOptions(VectorVerifier());
  options.nonce = kServerNonce;
  ScramServer server(std::move(options));
  EXPECT_EQ(server.Begin(kScramSha256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO").value(), kServerFirst);
  EXPECT_EQ(server.Finish(kClientFinal).value(), kServerFinal);
  EXPECT_EQ(server.keys(), DeriveScramKeys("pencil", *Base64Decode(kSalt), 4096));
}

TEST(ScramVerifier, ReadsAndWritesTheFormOfPgAuthid) {
  const std::string text = MakeScramVerifier("secret1").ToString();
  EXPECT_TRUE(text.starts_with("SCRAM-SHA-256$4096:"));
  const auto verifier = ScramVerifier::Parse(text);
  ASSERT_TRUE(verifier);
  EXPECT_EQ(verifier->ToString(), text);
  EXPECT_EQ(verifier->salt.size(), kDefaultScramSaltSize);
  EXPECT_TRUE(verifier->MeetsMinimum());
}

TEST(ScramVerifier, TwoOfTheSamePasswordDiffer) {
  EXPECT_NE(MakeScramVerifier("secret1").ToString(), MakeScramVerifier("secret1").ToString());
}

TEST(ScramVerifier, RefusesWhatIsNotOne) {
  const std::string good = VectorVerifier().ToString();
  for (const std::string& text :
       {std::string(), std::string("md5d41d8cd98f00b204e9800998ecf8427e"), std::string("plain"), good + "=",
        good.substr(0, good.size() - 4), std::string("SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$x:y"),
        std::string("SCRAM-SHA-256$4096:W22Z$$:"), std::string("SCRAM-SHA-256$4096")}) {
    EXPECT_FALSE(ScramVerifier::Parse(text)) << text;
  }
}

TEST(Scram, PasswordGivesTheServerTheClientsKeys) {
  ScramServer server(ServerOptions(VectorVerifier()));
  ScramClient client(ClientOptions(std::string("pencil")));
  const auto keys = Exchange(server, client);
  ASSERT_TRUE(keys) << keys.error().ToString();
  EXPECT_EQ(*keys, DeriveScramKeys("pencil", *Base64Decode(kSalt), 4096));
}

TEST(Scram, RecoveredKeysAreAsGoodAsThePassword) {
  ScramServer first(ServerOptions(VectorVerifier()));
  ScramClient by_password(ClientOptions(std::string("pencil")));
  const auto keys = Exchange(first, by_password);
  ASSERT_TRUE(keys);
  ScramServer second(ServerOptions(VectorVerifier()));
  ScramClient by_keys(ClientOptions(*keys));
  EXPECT_TRUE(Exchange(second, by_keys));
}

TEST(Scram, WrongPasswordFailsWithPostgresText) {
  ScramServer server(ServerOptions(VectorVerifier()));
  ScramClient client(ClientOptions(std::string("pen")));
  const auto keys = Exchange(server, client);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().sqlstate(), "28P01");
  EXPECT_EQ(keys.error().message(), "password authentication failed for user \"alice\"");
  EXPECT_EQ(keys.error().diagnostic()->severity, "FATAL");
  EXPECT_EQ(server.keys(), ScramKeys());
}

TEST(Scram, DoomedExchangeLooksRealAndFailsEvenWithTheRightPassword) {
  auto options = ServerOptions(VectorVerifier());
  options.doomed = true;
  ScramServer server(std::move(options));
  ScramClient client(ClientOptions(std::string("pencil")));
  const auto keys = Exchange(server, client);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().sqlstate(), "28P01");
  EXPECT_EQ(server.keys(), ScramKeys());
}

TEST(Scram, MockSaltIsStablePerNameAndSecret) {
  EXPECT_EQ(MakeMockVerifier("bob", "s1").salt, MakeMockVerifier("bob", "s1").salt);
  EXPECT_NE(MakeMockVerifier("bob", "s1").salt, MakeMockVerifier("carol", "s1").salt);
  EXPECT_NE(MakeMockVerifier("bob", "s1").salt, MakeMockVerifier("bob", "s2").salt);
  EXPECT_TRUE(MakeMockVerifier("bob", "s1").MeetsMinimum());
}

TEST(Scram, ChannelBindingIsChosenAndCheckedOverTls) {
  auto server_options = ServerOptions(VectorVerifier());
  server_options.encrypted = true;
  server_options.channel_binding_data = "certificate hash";
  ScramServer server(server_options);
  EXPECT_THAT(server.Mechanisms(), testing::ElementsAre(kScramSha256Plus, kScramSha256));
  auto client_options = ClientOptions(std::string("pencil"));
  client_options.encrypted = true;
  client_options.channel_binding_data = "certificate hash";
  ScramClient client(client_options);
  EXPECT_TRUE(Exchange(server, client));

  // Somebody in the middle shows another certificate.
  client_options.channel_binding_data = "another hash";
  ScramClient deceived(client_options);
  ScramServer second(server_options);
  const auto keys = Exchange(second, deceived);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().sqlstate(), "28000");
  EXPECT_EQ(keys.error().message(), "SCRAM channel binding check failed");
}

TEST(Scram, PlainMechanismWorksOverTlsForClientsWithoutBinding) {
  auto options = ServerOptions(VectorVerifier());
  options.encrypted = true;
  options.channel_binding_data = "certificate hash";
  ScramServer server(std::move(options));
  ScramClient client(ClientOptions(std::string("pencil")));
  EXPECT_TRUE(Exchange(server, client));
}

TEST(Scram, DowngradeOfChannelBindingIsRefused) {
  auto options = ServerOptions(VectorVerifier());
  options.encrypted = true;
  options.channel_binding_data = "certificate hash";
  ScramServer server(std::move(options));
  const auto challenge = server.Begin(kScramSha256, "y,,n=,r=abc");
  ASSERT_FALSE(challenge);
  EXPECT_EQ(challenge.error().sqlstate(), "28000");
  EXPECT_EQ(challenge.error().message(), "SCRAM channel binding negotiation error");
}

TEST(Scram, BothSidesWithoutBindingDataAgreeOnY) {
  auto options = ServerOptions(VectorVerifier());
  ScramServer server(std::move(options));
  auto client_options = ClientOptions(std::string("pencil"));
  client_options.encrypted = true;
  client_options.channel_binding_data = "certificate hash";
  ScramClient client(std::move(client_options));
  EXPECT_TRUE(Exchange(server, client));
}

TEST(ScramServer, AbsentInitialResponseIsAskedForByAnEmptyChallenge) {
  auto options = ServerOptions(VectorVerifier());
  options.nonce = kServerNonce;
  ScramServer server(std::move(options));
  EXPECT_EQ(server.Begin(kScramSha256, std::nullopt).value(), "");
  EXPECT_TRUE(server.awaits_first());
  EXPECT_EQ(server.Continue("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").value(), kServerFirst);
}

struct BadFirst {
  std::string message;
  std::string sqlstate;
  std::string text;
};

TEST(ScramServer, RefusesBadFirstMessages) {
  const std::string malformed = "malformed SCRAM message";
  const BadFirst cases[] = {
      {"", "08P01", malformed},
      {"x,,n=,r=a", "08P01", malformed},
      {"n", "08P01", malformed},
      {"n,n=,r=a", "08P01", malformed},
      {"n,a=admin,n=,r=a", "0A000", "client uses authorization identity, but it is not supported"},
      {"n,,m=x,n=,r=a", "0A000", "client requires an unsupported SCRAM extension"},
      {"n,,r=a", "08P01", malformed},
      {"n,,n=", "08P01", malformed},
      {"n,,n=,r=", "08P01", "non-printable characters in SCRAM nonce"},
      {"n,,n=,r=a\x01", "08P01", "non-printable characters in SCRAM nonce"},
      {"n,,n=,r=a,r=b", "08P01", malformed},
      {"n,,n=,r=a,1=b", "08P01", malformed},
      {std::string("n,,n=,r=a\0b", 11), "08P01", malformed},
      {"p=tls-server-end-point,,n=,r=a", "08P01", malformed},
  };
  for (const auto& bad : cases) {
    ScramServer server(ServerOptions(VectorVerifier()));
    const auto challenge = server.Begin(kScramSha256, bad.message);
    ASSERT_FALSE(challenge) << bad.message;
    EXPECT_EQ(challenge.error().sqlstate(), bad.sqlstate) << bad.message;
    EXPECT_EQ(challenge.error().message(), bad.text) << bad.message;
    EXPECT_FALSE(server.Finish(kClientFinal)) << "goes on after " << bad.message;
  }
}

TEST(ScramServer, RefusesBindingTypesAndMechanismsThatItDoesNotKnow) {
  auto options = ServerOptions(VectorVerifier());
  options.encrypted = true;
  options.channel_binding_data = "hash";
  ScramServer plus(options);
  const auto unique = plus.Begin(kScramSha256Plus, "p=tls-unique,,n=,r=a");
  ASSERT_FALSE(unique);
  EXPECT_EQ(unique.error().message(), "unsupported SCRAM channel-binding type \"tls-unique\"");
  ScramServer without(options);
  EXPECT_FALSE(without.Begin(kScramSha256Plus, "n,,n=,r=a"));
  ScramServer other(options);
  const auto plain = other.Begin("PLAIN", "x");
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().message(), "client selected an invalid SASL authentication mechanism");
}

TEST(ScramServer, RefusesBadFinalMessages) {
  const std::string nonce = "rOprNGfwEbeRWgbNEkqO" + std::string(kServerNonce);
  const std::string proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  const BadFirst cases[] = {
      {"", "08P01", "malformed SCRAM message"},
      {"c=biws", "08P01", "malformed SCRAM message"},
      {"c=eSws,r=" + nonce + "," + proof, "08P01",
       "unexpected SCRAM channel-binding attribute in client-final-message"},
      {"c=biws,r=other," + proof, "08P01", "invalid SCRAM response"},
      {"c=biws,r=" + nonce, "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + ",p=short", "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + ",p=", "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + ",c=biws," + proof, "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + ",r=" + nonce + "," + proof, "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + "," + proof + "," + proof, "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + "," + proof + ",", "08P01", "malformed SCRAM message"},
      {"c=biws,r=" + nonce + ",x=1," + proof, "28P01", "password authentication failed for user \"alice\""},
  };
  for (const auto& bad : cases) {
    auto options = ServerOptions(VectorVerifier());
    options.nonce = kServerNonce;
    ScramServer server(std::move(options));
    ASSERT_TRUE(server.Begin(kScramSha256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
    const auto outcome = server.Finish(bad.message);
    ASSERT_FALSE(outcome) << bad.message;
    EXPECT_EQ(outcome.error().sqlstate(), bad.sqlstate) << bad.message;
    EXPECT_EQ(outcome.error().message(), bad.text) << bad.message;
    EXPECT_FALSE(server.Finish(kClientFinal)) << "a second chance after " << bad.message;
  }
}

TEST(ScramClient, RefusesAServerThatDoesNotKnowThePassword) {
  auto options = ClientOptions(std::string("pencil"));
  options.user = "user";
  options.nonce = kClientNonce;
  ScramClient client(std::move(options));
  const std::string_view offered[] = {kScramSha256};
  ASSERT_TRUE(client.ChooseMechanism(offered));
  client.ClientFirst();
  ASSERT_TRUE(client.ClientFinal(kServerFirst));
  EXPECT_FALSE(client.VerifyServerFinal("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  EXPECT_FALSE(client.VerifyServerFinal("v="));
  EXPECT_FALSE(client.VerifyServerFinal("e=other-error"));
  EXPECT_FALSE(client.VerifyServerFinal(""));
}

TEST(ScramClient, RefusesBadServerFirstMessages) {
  for (const std::string& message :
       {"", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=abcdef,s=!!,i=4096", "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999", "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000",
        "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==", "m=x,r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"}) {
    auto options = ClientOptions(std::string("pencil"));
    options.nonce = "abc";
    ScramClient client(std::move(options));
    const std::string_view offered[] = {kScramSha256};
    ASSERT_TRUE(client.ChooseMechanism(offered));
    client.ClientFirst();
    EXPECT_FALSE(client.ClientFinal(message)) << message;
  }
}

TEST(ScramClient, RefusesAServerWithoutAKnownMechanism) {
  ScramClient client(ClientOptions(std::string("pencil")));
  const std::string_view offered[] = {"SCRAM-SHA-1"};
  EXPECT_FALSE(client.ChooseMechanism(offered));
}

TEST(Base64, TakesCanonicalTextOnly) {
  EXPECT_EQ(Base64Decode("aGk=").value(), "hi");
  EXPECT_EQ(Base64Decode("").value(), "");
  for (const std::string& text : {"aGk", "aGl=", "aG k=", "aGk=\n", "====", "a===", "aGk=aGk="}) {
    EXPECT_FALSE(Base64Decode(text)) << text;
  }
}

TEST(SaslPrep, LeavesAsciiAndInvalidUtf8Alone) {
  EXPECT_EQ(SaslPrep("I\x01 am ASCII"), "I\x01 am ASCII");
  EXPECT_EQ(SaslPrep("\xff\xfe"), "\xff\xfe");
  EXPECT_EQ(SaslPrep("\xc0\x80"), "\xc0\x80");
  EXPECT_EQ(SaslPrep("p\xc3\xa4ss"), "p\xc3\xa4ss");
}

TEST(SaslPrep, DropsSoftHyphensAndMapsSpaces) {
  EXPECT_EQ(SaslPrep("I\xc2\xadX"), "IX");  // RFC 4013, section 3
  EXPECT_EQ(SaslPrep("a\xc2\xa0"
                     "b"),
            "a b");
  EXPECT_EQ(SaslPrep("a\xe3\x80\x80"
                     "b"),
            "a b");
}

TEST(SecretKey, ComparesAndAssigns) {
  SecretKey a;
  SecretKey b;
  EXPECT_TRUE(a == b);
  EXPECT_FALSE(a.Assign("short"));
  EXPECT_TRUE(a.Assign(std::string(32, 'k')));
  EXPECT_FALSE(a == b);
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abcd"));
  std::string secret = "hush";
  Wipe(secret);
  EXPECT_TRUE(secret.empty());
}

}  // namespace
}  // namespace multigres::auth
