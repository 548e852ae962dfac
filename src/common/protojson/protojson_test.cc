#include "common/protojson/protojson.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"
#include "multiadminservice.pb.h"

namespace multigres::protojson {
namespace {

TEST(ProtoJson, WritesCamelCaseEnumNamesAndBigIntegersAsText) {
  ::multiadmin::BackupInfo backup;
  backup.set_backup_id("b1");
  backup.set_status(::multiadmin::BACKUP_STATUS_COMPLETE);
  backup.set_backup_size_bytes(std::uint64_t{1} << 60);
  auto text = ToJson(backup);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, R"({"backupId":"b1","status":"BACKUP_STATUS_COMPLETE","backupSizeBytes":"1152921504606846976"})");
}

TEST(ProtoJson, OrdersMapEntriesByKey) {
  ::clustermetadata::MultiOrch orch;
  for (const char* name : {"postgres", "http", "grpc", "pgbackrest", "postgres_replica"}) {
    (*orch.mutable_port_map())[name] = 1;
  }
  EXPECT_EQ(*ToJson(orch), R"({"portMap":{"grpc":1,"http":1,"pgbackrest":1,"postgres":1,"postgres_replica":1}})");
}

TEST(ProtoJson, ReadsBothCases) {
  ::multiadmin::SetPostgresRestartsEnabledRequest request;
  ASSERT_TRUE(FromJson(R"({"poolerId":{"cell":"zone1","component":"MULTIPOOLER"},"enabled":true})", request));
  EXPECT_EQ(request.pooler_id().cell(), "zone1");
  EXPECT_EQ(request.pooler_id().component(), ::clustermetadata::ID::MULTIPOOLER);
  ASSERT_TRUE(FromJson(R"( {"pooler_id":{"name":"x","component":2}})", request));
  EXPECT_EQ(request.pooler_id().name(), "x");
  EXPECT_EQ(request.pooler_id().component(), ::clustermetadata::ID::MULTIGATEWAY);
}

TEST(ProtoJson, RefusesWhatIsNoObjectOfKnownFieldsInOneLine) {
  for (const char* text : {"", "null", "[]", "1", "{", "{\"cells\":}", "{\"cells\":[1,\n", "{\"nonsense\":1}",
                           "{\"database\":{}}", "{\"cells\":[\"\xff\"]}", "{}{}"}) {
    ::multiadmin::GetPoolersRequest request;
    auto read = FromJson(text, request);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(read.error().message().find('\n'), std::string::npos);
  }
}

TEST(ProtoJson, RefusesBottomlessNestingAtOnce) {
  // protobuf's parser would take half a minute for each.
  for (const char* start : {"{\"cells\":", "{\"cells\":['\"',\"\\\"\","}) {
    ::multiadmin::GetPoolersRequest request;
    auto read = FromJson(std::string(start).append(16 * 1024 * 1024, '['), request);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().message(), "bad JSON: nested too deeply");
  }
}

TEST(ProtoJson, BracketsInTextAreNoNesting) {
  ::multiadmin::GetPoolersRequest request;
  ASSERT_TRUE(FromJson("{\"cells\":[\"a\\\"" + std::string(1000, '[') + "\"],\"database\":\"x\"}", request));
  EXPECT_EQ(request.cells(0), "a\"" + std::string(1000, '['));
}

}  // namespace
}  // namespace multigres::protojson
