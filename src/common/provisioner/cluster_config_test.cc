#include "common/provisioner/cluster_config.h"

#include <gtest/gtest.h>

#include "tools/fs/file.h"

namespace multigres::provisioner {
namespace {

ClusterConfig Default(const std::string& root = "/var/lib/multigres") {
  auto random = SeededRandom(1);
  return DefaultClusterConfig(root, *random);
}

TEST(ClusterConfig, DefaultHasThreeCellsOnTheDocumentedPorts) {
  const ClusterConfig config = Default();
  ASSERT_EQ(config.cells.size(), 3u);
  EXPECT_EQ(config.etcd.port, 2379);
  EXPECT_EQ(config.multiadmin.http_port, 15000);
  EXPECT_EQ(config.multiadmin.grpc_port, 15070);
  const CellConfig& third = config.cells[2];
  EXPECT_EQ(third.name, "zone3");
  EXPECT_EQ(third.gateway.http_port, 15102);
  EXPECT_EQ(third.gateway.grpc_port, 15172);
  EXPECT_EQ(third.gateway.pg_port, 15434);
  EXPECT_EQ(third.gateway.pg_replica_port, 15534);
  EXPECT_EQ(third.pooler.http_port, 15202);
  EXPECT_EQ(third.orch.grpc_port, 15372);
  EXPECT_EQ(third.pgctld.http_port, 15402);
  EXPECT_EQ(third.pgctld.pg_port, 25434);
  EXPECT_EQ(third.pgctld.pgbackrest_port, 18434);
  EXPECT_EQ(third.pooler.service_id.size(), 8u);
  EXPECT_TRUE(Validate(config));
}

TEST(ClusterConfig, WhatIsWrittenIsReadBack) {
  const ClusterConfig config = Default();
  const std::string yaml = ToYaml(config);
  EXPECT_NE(yaml.find("  root-working-dir: /var/lib/multigres\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("      pg-port: 15432\n"), std::string::npos) << yaml;
  auto parsed = ParseClusterConfig(yaml);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(ToYaml(*parsed), yaml);
}

TEST(ClusterConfig, PathsAreRelativeToTheRoot) {
  const ClusterConfig config = Default("/root-dir");
  EXPECT_EQ(config.Resolve("data/x"), "/root-dir/data/x");
  EXPECT_EQ(config.Resolve("/elsewhere"), "/elsewhere");
}

std::string ProblemOf(const std::string& yaml) {
  auto parsed = ParseClusterConfig(yaml);
  return parsed ? "" : parsed.error().message();
}

TEST(ClusterConfig, MistakesAreNamedInOneSentence) {
  EXPECT_EQ(ProblemOf("provisioner: kubernetes"), "provisioner 'kubernetes' is unknown; only 'local' is there");
  EXPECT_TRUE(ProblemOf("a: [").starts_with("not valid YAML: "));
  EXPECT_EQ(ProblemOf("- 1\n- 2\n"), "the file must be a mapping");
  EXPECT_EQ(ProblemOf("provisioner: local"), "provisioner-config.root-working-dir is missing");

  const std::string yaml = ToYaml(Default());
  std::string bad_port = yaml;
  bad_port.replace(bad_port.find("port: 2379"), 10, "port: 99999");
  EXPECT_EQ(ProblemOf(bad_port), "provisioner-config.etcd.port has a value of the wrong kind: '99999'");
  std::string unknown = yaml;
  unknown.replace(unknown.find("default-db-name"), 15, "default-database");
  EXPECT_EQ(ProblemOf(unknown), "unknown key provisioner-config.default-database");
}

TEST(ClusterConfig, APortGivenTwiceIsRefused) {
  ClusterConfig config = Default();
  config.cells[1].orch.http_port = 15000;
  auto valid = Validate(config);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().message(),
            "port 15000 is given twice: to multiadmin (HTTP) and to multiorch (HTTP) of zone2");
}

TEST(ClusterConfig, ARootTooLongForItsSocketsIsRefused) {
  auto valid = Validate(Default("/" + std::string(60, 'x')));
  ASSERT_FALSE(valid);
  EXPECT_NE(valid.error().message().find("is too long"), std::string::npos) << valid.error().message();
  EXPECT_TRUE(Validate(Default("/" + std::string(50, 'x'))));
}

TEST(ClusterConfig, TheFirstFolderThatHasTheFileWins) {
  auto empty = fs::TempDir::Create("config");
  auto full = fs::TempDir::Create("config");
  ASSERT_TRUE(empty && full);
  ASSERT_TRUE(fs::WriteFileAtomic(full->path() + "/multigres.yaml", "x"));
  auto found = FindClusterConfig({empty->path(), full->path()}, "multigres", "");
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, full->path() + "/multigres.yaml");
  auto missing = FindClusterConfig({empty->path()}, "multigres", "");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(),
            "no multigres.yaml found in " + empty->path() + "; run `multigres cluster init` first");
  EXPECT_FALSE(FindClusterConfig({full->path()}, "multigres", full->path() + "/other.yaml"));
}

}  // namespace
}  // namespace multigres::provisioner
