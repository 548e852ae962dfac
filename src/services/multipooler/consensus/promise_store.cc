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
constexpr const char* kWritesKey = "writes";
constexpr const char* kMarkedKey = "marked_in_data";
constexpr const char* kMemberKey = "member";

constexpr std::string_view kWayOut =
    "so it must not take part. Start it with an empty data directory, or under a --service-id that was never used and "
    "with --fresh-identity";

// Takes the number out of the object; 0 if it isn't there.
Result<std::int64_t> TakeNumber(nlohmann::json& json, const char* key) {
  auto at = json.find(key);
  if (at == json.end()) return 0;
  if (!at->is_number_integer()) return Fail(Code::kDataLoss, fmt::format("{} is no number", key));
  const auto number = at->get<std::int64_t>();
  json.erase(at);
  return number;
}

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

PromiseStore::PromiseStore(Place place)
    : disk_(place.disk),
      path_(place.pooler_dir + "/consensus_promises.json"),
      data_(place.data),
      member_(std::move(place.member)) {}

Result<std::unique_ptr<PromiseStore>> PromiseStore::Open(Place place) {
  std::unique_ptr<PromiseStore> store(new PromiseStore(std::move(place)));
  auto loaded = store->Load();
  if (loaded) loaded = store->CompareWithData();
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  return store;
}

Result<std::unique_ptr<PromiseStore>> PromiseStore::OpenAfresh(Place place, const pb::LsnPosition& floor) {
  std::unique_ptr<PromiseStore> store(new PromiseStore(std::move(place)));
  auto stored = store->StoreRecruitFloor(floor);
  if (!stored) return std::unexpected(std::move(stored.error()));
  return store;
}

Result<> PromiseStore::Load() {
  auto text = disk_.Read(path_);
  if (!text && text.error().code() == Code::kNotFound) {
    if (!data_.Exists()) return {};
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("{} is missing beside an initialised data directory: what this member promised is unknown, {}",
                    path_, kWayOut));
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
    for (const auto& [key, number] : {std::pair(kWritesKey, &writes_), std::pair(kMarkedKey, &marked_)}) {
      auto taken = TakeNumber(promises, key);
      if (taken) *number = *taken;
      if (parsed && !taken) parsed = std::unexpected(std::move(taken.error()));
    }
    if (parsed) parsed = FromJson(promises, promises_);
  }
  if (parsed) return {};
  return Fail(Code::kDataLoss,
              fmt::format("{} can't be read ({}): what this member promised is unknown, so it must not "
                          "take part",
                          path_, parsed.error().message()));
}

Result<> PromiseStore::CompareWithData() {
  if (!data_.Exists()) return {};
  auto text = data_.ReadMark();
  if (!text && text.error().code() != Code::kNotFound) return Fail(std::move(text), "mark of the data directory");
  const auto mark = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  const bool ours = mark.is_object() && mark.value(kMemberKey, nlohmann::json()) == member_ &&
                    mark.value(kWritesKey, nlohmann::json()).is_number_integer();
  const std::int64_t written = ours ? mark[kWritesKey].get<std::int64_t>() : 0;
  if (written > writes_) {
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("{} is an older copy than the data directory beside it (write {}, {} was the last): what this "
                    "member promised since is unknown, {}",
                    path_, writes_, written, kWayOut));
  }
  data_was_replaced_ = written < marked_;
  return {};
}

Result<> PromiseStore::MarkData() {
  const nlohmann::json mark = {{kMemberKey, member_}, {kWritesKey, writes_}};
  auto marked = data_.WriteMark(mark.dump() + "\n");
  if (!marked) return Fail(std::move(marked), "mark of the data directory");
  marked_ = writes_;
  return {};
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
  (*json)[kWritesKey] = writes_ + 1;
  (*json)[kMarkedKey] = marked_;
  auto written = disk_.Write(path_, json->dump(2) + "\n", 0600);
  if (!written) return Fail(std::move(written), "promise file");
  promises_ = promises;
  highest_followed_ = followed;
  ++writes_;
  // The promise is kept without it; then an exchange of the folders is noticed later.
  if (data_.Exists()) (void)MarkData();
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
