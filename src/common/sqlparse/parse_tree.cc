#include "common/sqlparse/parse_tree.h"

namespace multigres::sqlparse {
namespace {

// Steps through the fields of a message. Malformed bytes end it.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

  bool Next() {
    std::uint64_t tag = 0;
    if (!Varint(tag)) return false;
    field = static_cast<int>(tag >> 3);
    bytes = {};
    number = 0;
    switch (tag & 7) {
      case 0:
        return Varint(number);
      case 1:
        return Skip(8);
      case 2: {
        std::uint64_t length = 0;
        if (!Varint(length) || length > bytes_.size()) return false;
        bytes = bytes_.substr(0, length);
        return Skip(length);
      }
      case 5:
        return Skip(4);
      default:
        return false;
    }
  }

  int field = 0;
  std::uint64_t number = 0;
  std::string_view bytes;

 private:
  bool Skip(std::size_t count) {
    if (count > bytes_.size()) return false;
    bytes_.remove_prefix(count);
    return true;
  }
  bool Varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view bytes_;
};

const tree::Link* FindLink(tree::Type type, int field) {
  auto links = tree::LinksOf(type);
  if (type == tree::Type::Node) {
    // Node's fields are numbered from 1 without gaps, mostly: try the place first.
    auto at = static_cast<std::size_t>(field - 1);
    if (field >= 1 && at < links.size() && links[at].field == field) return &links[at];
  }
  for (const tree::Link& link : links) {
    if (link.field == field) return &link;
  }
  return nullptr;
}

}  // namespace

TreeNode TreeNode::Unwrapped() const {
  if (!Is(tree::Type::Node)) return *this;
  FieldReader reader(bytes_);
  return reader.Next() ? Typed(reader.field, reader.bytes) : TreeNode();
}

TreeNode TreeNode::Typed(int field, std::string_view bytes) const {
  const tree::Link* link = FindLink(type_, field);
  return link == nullptr ? TreeNode() : TreeNode(link->type, bytes).Unwrapped();
}

std::string_view TreeNode::Text(int field) const {
  FieldReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field == field) return reader.bytes;
  }
  return {};
}

std::int64_t TreeNode::Number(int field) const {
  FieldReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field == field) return static_cast<std::int64_t>(reader.number);
  }
  return 0;
}

TreeNode TreeNode::Child(int field) const {
  FieldReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field == field) return Typed(field, reader.bytes);
  }
  return {};
}

std::vector<TreeNode> TreeNode::Children(int field) const {
  std::vector<TreeNode> children;
  FieldReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field == field) children.push_back(Typed(field, reader.bytes));
  }
  return children;
}

void TreeNode::ForEachChild(const std::function<void(TreeNode)>& visit) const {
  if (tree::LinksOf(type_).empty()) return;
  FieldReader reader(bytes_);
  while (reader.Next()) {
    TreeNode child = Typed(reader.field, reader.bytes);
    if (child) visit(child);
  }
}

void Walk(TreeNode root, const std::function<bool(TreeNode)>& visit) {
  std::vector<TreeNode> pending{root};
  std::vector<TreeNode> below;
  while (!pending.empty()) {
    TreeNode node = pending.back();
    pending.pop_back();
    if (!node || !visit(node)) continue;
    below.clear();
    node.ForEachChild([&below](TreeNode child) { below.push_back(child); });
    // In the order of the text, roughly: the first child next.
    pending.insert(pending.end(), below.rbegin(), below.rend());
  }
}

}  // namespace multigres::sqlparse
