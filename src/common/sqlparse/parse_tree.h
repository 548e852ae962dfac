// Views into libpg_query's parse tree in its protobuf wire form: no copy, no unpacking. Internal to sqlparse.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pg_query_tree.h"

namespace multigres::sqlparse {

// One message of the tree. Absent fields read as empty, 0 or an absent node, as proto3 has it.
class TreeNode {
 public:
  TreeNode() = default;
  TreeNode(tree::Type type, std::string_view bytes) : type_(type), bytes_(bytes), present_(true) {}

  explicit operator bool() const { return present_; }
  bool Is(tree::Type type) const { return present_ && type_ == type; }
  tree::Type type() const { return type_; }

  std::string_view Text(int field) const;
  std::int64_t Number(int field) const;
  // The message in that field, taken out of its Node wrapper if it has one.
  TreeNode Child(int field) const;
  std::vector<TreeNode> Children(int field) const;
  // Every message directly below this one.
  void ForEachChild(const std::function<void(TreeNode)>& visit) const;

 private:
  TreeNode Typed(int field, std::string_view bytes) const;
  TreeNode Unwrapped() const;

  tree::Type type_ = tree::Type::Node;
  std::string_view bytes_;
  bool present_ = false;
};

// Visits `root` and all messages below it, without recursion. Returning false leaves out what is below a message.
void Walk(TreeNode root, const std::function<bool(TreeNode)>& visit);

}  // namespace multigres::sqlparse
