// The small codecs: base64, timeouts, percent encoding, statuses, metadata.
#include <gtest/gtest.h>

#include "common/rpc/base64.h"
#include "common/rpc/limits.h"
#include "common/rpc/metadata_codec.h"
#include "common/rpc/status_codec.h"
#include "common/rpc/timeout_codec.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

TEST(Base64, GoesThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, KnowsTheVectorsOfRfc4648) {
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(EncodeBase64("fooba"), "Zm9vYmE");
  EXPECT_EQ(DecodeBase64("Zm9vYmE="), "fooba");
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64(""), "");
}

TEST(Base64, RefusesWhatIsNot) {
  EXPECT_EQ(DecodeBase64("Zg="), "f");  // sloppy padding is forgiven
  EXPECT_EQ(DecodeBase64("Z"), std::nullopt);
  EXPECT_EQ(DecodeBase64("Zm9v!mFy"), std::nullopt);
  EXPECT_EQ(DecodeBase64("Zm=v"), std::nullopt);
}

TEST(TimeoutCodec, KeepsWhatEightDigitsCanHold) {
  for (const Duration timeout : {Duration(0), Duration(1), Duration(99'999'999), Duration(1h), Duration(24h)}) {
    const auto decoded = DecodeTimeout(EncodeTimeout(timeout));
    ASSERT_TRUE(decoded);
    EXPECT_GE(*decoded, timeout);
    EXPECT_LE(*decoded - timeout, timeout / 1'000'000);
  }
  EXPECT_EQ(EncodeTimeout(-5s), "0n");
  EXPECT_EQ(EncodeTimeout(1s), "1000000u");
}

TEST(TimeoutCodec, DecodesEveryUnit) {
  EXPECT_EQ(DecodeTimeout("1H"), Duration(1h));
  EXPECT_EQ(DecodeTimeout("2M"), Duration(2min));
  EXPECT_EQ(DecodeTimeout("3S"), Duration(3s));
  EXPECT_EQ(DecodeTimeout("4m"), Duration(4ms));
  EXPECT_EQ(DecodeTimeout("5u"), Duration(5us));
  EXPECT_EQ(DecodeTimeout("6n"), Duration(6));
  EXPECT_EQ(DecodeTimeout("99999999H"), Duration::max());
}

TEST(TimeoutCodec, RefusesNonsense) {
  for (std::string_view text : {"", "S", "1", "-1S", "1 S", "1x", "123456789S", "0x1S"}) {
    EXPECT_EQ(DecodeTimeout(text), std::nullopt) << text;
  }
}

TEST(PercentCoding, GoesThereAndBack) {
  const std::string text = " blanks outside, 100% \xc3\xa4 \n\t\x7f ";
  const std::string encoded = PercentEncode(text);
  EXPECT_EQ(PercentDecode(encoded), text);
  EXPECT_TRUE(encoded.starts_with("%20"));
  EXPECT_TRUE(encoded.ends_with("%20"));
  EXPECT_EQ(PercentEncode("plain text"), "plain text");
}

TEST(PercentCoding, KeepsMalformedEscapes) {
  EXPECT_EQ(PercentDecode("%"), "%");
  EXPECT_EQ(PercentDecode("100%"), "100%");
  EXPECT_EQ(PercentDecode("%4"), "%4");
  EXPECT_EQ(PercentDecode("%zz%41"), "%zzA");
  EXPECT_EQ(PercentDecode("%41"), "A");
}

// What a peer makes of the trailers.
Result<> ThereAndBack(const Result<>& status, const Metadata& trailing, std::size_t max_bytes, Metadata* received) {
  HeaderList headers;
  AddStatus(headers, status, trailing, max_bytes);
  EXPECT_LE(headers.bytes(), std::max<std::size_t>(max_bytes, 3'000));
  ReceivedStatus taken;
  for (const HeaderField& field : headers.fields()) {
    EXPECT_LE(field.value.size(), kMaxHeaderBytes);
    if (!taken.Take(field.name, field.value)) AddReceived(*received, field.name, field.value);
  }
  return taken.ToResult();
}

TEST(StatusCodec, CarriesCodeMessageAndDetails) {
  Metadata received;
  const Result<> status = std::unexpected(Error(Code::kAborted, "so %\n").WithStatusDetails(std::string("\0\xff", 2)));
  Metadata trailing;
  trailing.Add("x-bin", std::string("\0a", 2));
  const auto back = ThereAndBack(status, trailing, kMaxHeaderListBytes, &received);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code(), Code::kAborted);
  EXPECT_EQ(back.error().message(), "so %\n");
  EXPECT_EQ(back.error().status_details(), std::string("\0\xff", 2));
  EXPECT_EQ(received.Get("x-bin"), std::string("\0a", 2));
}

TEST(StatusCodec, OwnCodesTravelAsUnknown) {
  Metadata received;
  const auto back = ThereAndBack(std::unexpected(Error(Code::kReadOnly, "")), {}, kMaxHeaderListBytes, &received);
  EXPECT_EQ(back.error().code(), Code::kUnknown);
}

TEST(StatusCodec, CutsDetailsFirstThenTheMessageThenMetadata) {
  Metadata received;
  Metadata trailing;
  trailing.Add("x-kept", "kept");
  Result<> status = std::unexpected(Error(Code::kAborted, "short").WithStatusDetails(std::string(10'000, 'd')));
  auto back = ThereAndBack(status, trailing, 8'192, &received);
  EXPECT_EQ(back.error().message(), "short");
  EXPECT_TRUE(back.error().status_details().empty());
  EXPECT_EQ(received.Get("x-kept"), "kept");

  status = std::unexpected(Error(Code::kAborted, std::string(10'000, '\n')));
  received = {};
  back = ThereAndBack(status, trailing, 8'192, &received);
  EXPECT_TRUE(back.error().message().starts_with("\n\n\n"));
  EXPECT_TRUE(back.error().message().ends_with("\n..."));
  EXPECT_EQ(received.Get("x-kept"), "kept");

  trailing.Add("x-large", std::string(9'000, 'l'));
  received = {};
  back = ThereAndBack({}, trailing, 8'192, &received);
  EXPECT_TRUE(back);
  EXPECT_TRUE(received.empty());
}

TEST(StatusCodec, OddNumbersAreUnknown) {
  for (std::string_view text : {"17", "-1", "x", "", "99999999999"}) {
    ReceivedStatus status;
    EXPECT_TRUE(status.Take("grpc-status", text));
    EXPECT_EQ(status.ToResult().error().code(), Code::kUnknown) << text;
  }
}

TEST(MetadataCodec, JoinedBinaryValuesAreTakenApart) {
  Metadata metadata;
  AddReceived(metadata, "x-bin", "YQ==, Yg,!!,Yw");
  ASSERT_EQ(metadata.entries().size(), 3u);
  EXPECT_EQ(metadata.entries()[0].second, "a");
  EXPECT_EQ(metadata.entries()[1].second, "b");
  EXPECT_EQ(metadata.entries()[2].second, "c");
}

TEST(MetadataCodec, ChecksEachValueAndTheSum) {
  const std::string large(kMaxHeaderBytes + 1, 'l');
  HeaderList one;
  one.Add("x", large);
  EXPECT_EQ(one.Check(kMaxHeaderListBytes).error().code(), Code::kResourceExhausted);
  HeaderList several;
  for (int i = 0; i < 3; ++i) several.Add("x", std::string_view(large).substr(1));
  EXPECT_TRUE(several.Check(kMaxHeaderListBytes));
  EXPECT_EQ(several.Check(100'000).error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace multigres::rpc
