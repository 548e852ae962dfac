#include "services/multiadmin/html_rewrite.h"

#include <optional>

namespace multigres::admin {

namespace {

constexpr auto kEnd = std::string_view::npos;

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

char LowerChar(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool EqualsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (LowerChar(text[i]) != lower[i]) return false;
  }
  return true;
}

// One pass over the page, copying it to `out`.
class Rewriter {
 public:
  Rewriter(std::string_view html, std::string_view prefix) : html_(html), prefix_(prefix) {}

  std::string Run() {
    out_.reserve(html_.size() + html_.size() / 8 + 64);
    while (at_ < html_.size()) {
      CopyTo(std::min(html_.find('<', at_), html_.size()));
      if (at_ < html_.size()) Markup();
    }
    const std::size_t place = head_end_ ? *head_end_ : html_end_ ? *html_end_ : doctype_end_;
    std::string base;
    base.append("<base href=\"").append(prefix_).append("/\">");
    return out_.insert(place, base);
  }

 private:
  void CopyTo(std::size_t end) {
    out_.append(html_.substr(at_, end - at_));
    at_ = end;
  }
  // Up to and with `mark`, or to the end of the page.
  void CopyThrough(std::string_view mark) {
    const auto found = html_.find(mark, at_);
    CopyTo(found == kEnd ? html_.size() : found + mark.size());
  }
  char Peek() const { return at_ < html_.size() ? html_[at_] : '\0'; }

  void Markup() {
    const std::string_view rest = html_.substr(at_);
    if (rest.starts_with("<!--")) {
      CopyThrough("-->");
    } else if (rest.starts_with("<!")) {
      CopyThrough(">");
      if (!head_end_ && !html_end_) doctype_end_ = out_.size();
    } else if (rest.size() > 1 && LowerChar(rest[1]) >= 'a' && LowerChar(rest[1]) <= 'z') {
      Tag();
    } else {
      CopyTo(at_ + 1);
    }
  }

  void Tag() {
    const std::size_t start = at_ + 1;
    std::size_t end = start;
    while (end < html_.size() && !IsSpace(html_[end]) && html_[end] != '>' && html_[end] != '/') ++end;
    const std::string_view name = html_.substr(start, end - start);
    CopyTo(end);
    while (at_ < html_.size() && html_[at_] != '>') Attribute();
    if (at_ < html_.size()) CopyTo(at_ + 1);
    if (!head_end_ && EqualsLower(name, "head")) head_end_ = out_.size();
    if (!html_end_ && EqualsLower(name, "html")) html_end_ = out_.size();
    if (EqualsLower(name, "script") || EqualsLower(name, "style")) RawText(name);
  }

  // At a space, a slash or an attribute's name: copies at least one character.
  void Attribute() {
    std::size_t end = at_;
    while (end < html_.size() && !IsSpace(html_[end]) && html_[end] != '>' && html_[end] != '/' && html_[end] != '=') {
      ++end;
    }
    if (end == at_) return CopyTo(at_ + 1);
    const std::string_view name = html_.substr(at_, end - at_);
    CopyTo(end);
    std::size_t value = end;
    while (value < html_.size() && IsSpace(html_[value])) ++value;
    if (value == html_.size() || html_[value] != '=') return;
    ++value;
    while (value < html_.size() && IsSpace(html_[value])) ++value;
    const char quote = value < html_.size() && (html_[value] == '"' || html_[value] == '\'') ? html_[value] : '\0';
    CopyTo(quote == '\0' ? value : value + 1);
    const bool link = EqualsLower(name, "href") || EqualsLower(name, "src") || EqualsLower(name, "action");
    if (link && Peek() == '/' && html_.substr(at_, 2) != "//") out_.append(prefix_);
    while (at_ < html_.size() && (quote != '\0' ? html_[at_] != quote : !IsSpace(html_[at_]) && html_[at_] != '>')) {
      CopyTo(at_ + 1);
    }
    if (quote != '\0' && at_ < html_.size()) CopyTo(at_ + 1);
  }

  // Up to the end tag of the same name, which the main loop takes.
  void RawText(std::string_view name) {
    while (at_ < html_.size()) {
      const auto close = html_.find("</", at_);
      if (close == kEnd) return CopyTo(html_.size());
      CopyTo(close);
      std::string lower;
      for (const char c : name) lower.push_back(LowerChar(c));
      if (EqualsLower(html_.substr(at_ + 2, name.size()), lower)) return;
      CopyTo(at_ + 2);
    }
  }

  std::string_view html_;
  std::string_view prefix_;
  std::size_t at_ = 0;
  std::string out_;
  // Places in out_ where a base element may go.
  std::optional<std::size_t> head_end_;
  std::optional<std::size_t> html_end_;
  std::size_t doctype_end_ = 0;
};

}  // namespace

std::string RewriteHtml(std::string_view html, std::string_view prefix) {
  return Rewriter(html, prefix).Run();
}

}  // namespace multigres::admin
