// What protoc-gen-multigres writes for interop.proto, which has every call shape. MULTIGRES_UPDATE_GOLDEN=1 rewrites
// the golden files.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace multigres::interop {
namespace {

std::string ReadFile(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Codegen : public testing::TestWithParam<const char*> {};

TEST_P(Codegen, WritesWhatTheGoldenFileHolds) {
  const std::string generated = ReadFile(std::string(INTEROP_GENERATED_DIR) + "/interop" + GetParam());
  const std::string golden_path = std::string(INTEROP_GOLDEN_DIR) + "/interop" + GetParam() + ".golden";
  ASSERT_FALSE(generated.empty());
  if (std::getenv("MULTIGRES_UPDATE_GOLDEN") != nullptr) std::ofstream(golden_path) << generated;
  EXPECT_EQ(generated, ReadFile(golden_path));
}

INSTANTIATE_TEST_SUITE_P(Files, Codegen, testing::Values(".rpc.h", ".rpc.cc"),
                         [](const auto& info) { return std::string(info.index == 0 ? "Header" : "Source"); });

}  // namespace
}  // namespace multigres::interop
