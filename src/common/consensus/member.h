// Members by their text form {cell}_{name}: what cohort_members holds and what a standby reports as application_name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// PostgreSQL cuts application_name at 63 bytes (NAMEDATALEN - 1).
inline constexpr std::size_t kMaxMemberBytes = 63;

std::string MemberText(const ID& id);
// As MemberText(); INVALID_ARGUMENT if the text could not be told apart from another member's: empty cell or name, an
// inner '_', or over 63 bytes.
Result<std::string> CheckedMemberText(const ID& id);
// The ID (component MULTIPOOLER) of a text form, split at the first '_'. INVALID_ARGUMENT if malformed.
Result<ID> ParseMember(std::string_view text);
// Cell and name decide; the component doesn't.
bool SameMember(const ID& a, const ID& b);

// A set of members, by text form: sorted, no duplicates.
class MemberSet {
 public:
  MemberSet() = default;
  explicit MemberSet(std::vector<std::string> texts);
  template <class Ids>
  static MemberSet Of(const Ids& ids) {
    std::vector<std::string> texts;
    for (const auto& id : ids) texts.push_back(MemberText(id));
    return MemberSet(std::move(texts));
  }

  bool Contains(std::string_view text) const;
  bool Contains(const ID& id) const { return Contains(MemberText(id)); }
  void Insert(std::string text);
  void Erase(std::string_view text);
  std::size_t size() const { return texts_.size(); }
  bool empty() const { return texts_.empty(); }
  auto begin() const { return texts_.begin(); }
  auto end() const { return texts_.end(); }
  const std::vector<std::string>& texts() const { return texts_; }

  MemberSet Intersection(const MemberSet& other) const;
  MemberSet Minus(const MemberSet& other) const;
  bool IsSubsetOf(const MemberSet& other) const;
  // How many cells the members span.
  std::size_t CellCount() const;
  // "zone1_a, zone2_b"
  std::string Text() const;

  friend bool operator==(const MemberSet&, const MemberSet&) = default;

 private:
  std::vector<std::string> texts_;
};

// The cell of a text form.
std::string_view CellOf(std::string_view member);

}  // namespace multigres::consensus
