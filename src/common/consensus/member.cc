#include "common/consensus/member.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "clustermetadata.pb.h"

namespace multigres::consensus {

std::string MemberText(const ID& id) {
  return id.cell() + "_" + id.name();
}

Result<std::string> CheckedMemberText(const ID& id) {
  std::string text = MemberText(id);
  if (id.cell().empty() || id.name().empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("member id '{}' needs a cell and a name", text));
  }
  if (std::ranges::count(text, '_') != 1) {
    return Fail(Code::kInvalidArgument, fmt::format("member id '{}' has an '_' in its cell or name", text));
  }
  if (text.size() > kMaxMemberBytes) {
    return Fail(Code::kInvalidArgument, fmt::format("member id '{}' is longer than {} bytes", text, kMaxMemberBytes));
  }
  return text;
}

Result<ID> ParseMember(std::string_view text) {
  std::size_t split = text.find('_');
  if (split == std::string_view::npos || split == 0 || split + 1 == text.size()) {
    return Fail(Code::kInvalidArgument, fmt::format("'{}' is not a member id <cell>_<name>", text));
  }
  ID id;
  id.set_component(ID::MULTIPOOLER);
  id.set_cell(std::string(text.substr(0, split)));
  id.set_name(std::string(text.substr(split + 1)));
  return id;
}

bool SameMember(const ID& a, const ID& b) {
  return a.cell() == b.cell() && a.name() == b.name();
}

std::string_view CellOf(std::string_view member) {
  return member.substr(0, member.find('_'));
}

MemberSet::MemberSet(std::vector<std::string> texts) : texts_(std::move(texts)) {
  std::ranges::sort(texts_);
  auto [first, last] = std::ranges::unique(texts_);
  texts_.erase(first, last);
}

bool MemberSet::Contains(std::string_view text) const {
  return std::binary_search(texts_.begin(), texts_.end(), text, std::less<>());
}

void MemberSet::Insert(std::string text) {
  auto at = std::lower_bound(texts_.begin(), texts_.end(), text);
  if (at == texts_.end() || *at != text) texts_.insert(at, std::move(text));
}

void MemberSet::Erase(std::string_view text) {
  std::erase(texts_, text);
}

MemberSet MemberSet::Intersection(const MemberSet& other) const {
  MemberSet out;
  std::ranges::set_intersection(texts_, other.texts_, std::back_inserter(out.texts_));
  return out;
}

MemberSet MemberSet::Minus(const MemberSet& other) const {
  MemberSet out;
  std::ranges::set_difference(texts_, other.texts_, std::back_inserter(out.texts_));
  return out;
}

bool MemberSet::IsSubsetOf(const MemberSet& other) const {
  return std::ranges::includes(other.texts_, texts_);
}

std::size_t MemberSet::CellCount() const {
  std::set<std::string_view> cells;
  for (const std::string& text : texts_) cells.insert(CellOf(text));
  return cells.size();
}

std::string MemberSet::Text() const {
  return fmt::format("{}", fmt::join(texts_, ", "));
}

}  // namespace multigres::consensus
