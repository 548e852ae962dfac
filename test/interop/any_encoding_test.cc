// The hop's messages carry texts in any encoding.
#include <gtest/gtest.h>

#include "mtrpc.pb.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"

namespace multigres::interop {
namespace {

constexpr const char* kLatin1 = "SELECT 'caf\xE9'";

template <class Message>
Message Transported(const Message& message) {
  Message received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
  return received;
}

TEST(AnyEncoding, StatementsAndSettingsPassAsTheyAre) {
  ::multipoolerservice::StreamExecuteRequest request;
  request.set_query(kLatin1);
  (*request.mutable_options()->mutable_session_settings())["application_name"] = "caf\xE9";
  const auto received = Transported(request);
  EXPECT_EQ(received.query(), kLatin1);
  EXPECT_EQ(received.options().session_settings().at("application_name"), "caf\xE9");
}

TEST(AnyEncoding, NamesDiagnosticsAndNotificationsPassAsTheyAre) {
  ::query::QueryResultPayload payload;
  payload.mutable_result()->add_fields()->set_name("caf\xE9");
  (*payload.mutable_result()->mutable_parameter_status())["application_name"] = "caf\xE9";
  EXPECT_EQ(Transported(payload).result().fields(0).name(), "caf\xE9");
  EXPECT_EQ(Transported(payload).result().parameter_status().at("application_name"), "caf\xE9");
  payload.mutable_diagnostic()->set_message("caf\xE9");
  EXPECT_EQ(Transported(payload).diagnostic().message(), "caf\xE9");
  payload.mutable_notification()->set_payload("caf\xE9");
  EXPECT_EQ(Transported(payload).notification().payload(), "caf\xE9");
  ::mtrpc::CallerID caller;
  caller.set_component("caf\xE9");
  EXPECT_EQ(Transported(caller).component(), "caf\xE9");
}

}  // namespace
}  // namespace multigres::interop
