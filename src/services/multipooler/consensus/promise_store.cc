#include "services/multipooler/consensus/promise_store.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "common/consensus/rule_number.h"

namespace multigres::pooler::consensus {

namespace {

namespace pb = ::clustermetadata;
using google::protobuf::Message;
using google::protobuf::util::JsonPrintOptions;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;

constexpr std::string_view kFollowedKey = "highest_followed_rule";

Result<nlohmann::json> ToJson(const Message& message) {
  JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (auto status = MessageToJsonString(message, &text, options); !status.ok()) {
    return Fail(Code::kInternal, "promise can't be written as JSON: " + std::string(status.message()));
  }
  return nlohmann::json::parse(text);
}

Result<> FromJson(const nlohmann::json& json, Message& message) {
  // Unknown fields are an error: what a newer version promised must not be overlooked.
  if (auto status = JsonStringToMessage(json.dump(), &message); !status.ok()) {
    return Fail(Code::kDataLoss, std::string(status.message()));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<PromiseStore>> PromiseStore::Open(fs::Disk& disk, const std::string& pooler_dir, bool has_data) {
  std::unique_ptr<PromiseStore> store(new PromiseStore(disk, pooler_dir + "/consensus_promises.json"));
  auto loaded = store->Load(has_data);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  return store;
}

Result<std::unique_ptr<PromiseStore>> PromiseStore::OpenAfresh(fs::Disk& disk, const std::string& pooler_dir,
                                                               const pb::LsnPosition& floor) {
  std::unique_ptr<PromiseStore> store(new PromiseStore(disk, pooler_dir + "/consensus_promises.json"));
  auto stored = store->StoreRecruitFloor(floor);
  if (!stored) return std::unexpected(std::move(stored.error()));
  return store;
}

Result<> PromiseStore::Load(bool has_data) {
  auto text = disk_.Read(path_);
  if (!text && text.error().code() == Code::kNotFound) {
    if (!has_data) return {};
    return Fail(
        Code::kFailedPrecondition,
        fmt::format(
            "{} is missing beside an initialised data directory: what this member promised is unknown, "
            "so it must not take part. Start it with an empty data directory, or under a --service-id that was never "
            "used and with --fresh-identity",
            path_));
  }
  if (!text) return Fail(std::move(text), "promise file");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  Result<> parsed;
  if (json.is_discarded() || !json.is_object()) {
    parsed = Fail(Code::kDataLoss, "it is not a JSON object");
  } else {
    nlohmann::json promises = json;
    if (auto followed = promises.find(kFollowedKey); followed != promises.end()) {
      parsed = FromJson(*followed, highest_followed_);
      promises.erase(kFollowedKey);
    }
    if (parsed) parsed = FromJson(promises, promises_);
  }
  if (parsed) return {};
  return Fail(Code::kDataLoss,
              fmt::format("{} can't be read ({}): what this member promised is unknown, so it must not "
                          "take part",
                          path_, parsed.error().message()));
}

const pb::TermRevocation* PromiseStore::revocation() const {
  return promises_.has_term_revocation() ? &promises_.term_revocation() : nullptr;
}

const pb::LsnPosition* PromiseStore::recruit_floor() const {
  return promises_.has_recruit_blocked_until() ? &promises_.recruit_blocked_until() : nullptr;
}

Result<> PromiseStore::Write(const pb::ConsensusPromises& promises, const pb::RuleNumber& followed) {
  auto json = ToJson(promises);
  if (!json) return std::unexpected(std::move(json.error()));
  auto followed_json = ToJson(followed);
  if (!followed_json) return std::unexpected(std::move(followed_json.error()));
  (*json)[kFollowedKey] = std::move(*followed_json);
  auto written = disk_.Write(path_, json->dump(2) + "\n", 0600);
  if (!written) return Fail(std::move(written), "promise file");
  promises_ = promises;
  highest_followed_ = followed;
  return {};
}

Result<> PromiseStore::StoreRevocation(const pb::TermRevocation& revocation) {
  pb::ConsensusPromises promises = promises_;
  *promises.mutable_term_revocation() = revocation;
  return Write(promises, highest_followed_);
}

Result<> PromiseStore::StoreRecruitFloor(const pb::LsnPosition& floor) {
  pb::ConsensusPromises promises = promises_;
  *promises.mutable_recruit_blocked_until() = floor;
  return Write(promises, highest_followed_);
}

Result<> PromiseStore::ClearRecruitFloor() {
  if (!promises_.has_recruit_blocked_until()) return {};
  pb::ConsensusPromises promises = promises_;
  promises.clear_recruit_blocked_until();
  return Write(promises, highest_followed_);
}

Result<> PromiseStore::StoreFollowed(const pb::RuleNumber& rule) {
  if (multigres::consensus::Compare(rule, highest_followed_) <= 0) return {};
  return Write(pb::ConsensusPromises(promises_), pb::RuleNumber(rule));
}

Result<> PromiseStore::EnsureFile() {
  if (disk_.Exists(path_)) return {};
  return Write(pb::ConsensusPromises(promises_), pb::RuleNumber(highest_followed_));
}

}  // namespace multigres::pooler::consensus
