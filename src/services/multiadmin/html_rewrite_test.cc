#include "services/multiadmin/html_rewrite.h"

#include <gtest/gtest.h>

namespace multigres::admin {
namespace {

std::string Rewrite(std::string_view html) {
  return RewriteHtml(html, "/p");
}

TEST(HtmlRewrite, PutsTheBaseAtTheStartOfTheHead) {
  const std::string base = R"(<base href="/p/">)";
  EXPECT_EQ(Rewrite("<!DOCTYPE html>\n<html><head><title>x</title></head><body></body></html>"),
            "<!DOCTYPE html>\n<html><head>" + base + "<title>x</title></head><body></body></html>");
  EXPECT_EQ(Rewrite("<HTML lang=en><HEAD class='a'></HEAD>"), "<HTML lang=en><HEAD class='a'>" + base + "</HEAD>");
  EXPECT_EQ(Rewrite("<html><body><header>x</header></body></html>"),
            "<html>" + base + "<body><header>x</header></body></html>");
  EXPECT_EQ(Rewrite("<!doctype html><p>x"), "<!doctype html>" + base + "<p>x");
  EXPECT_EQ(Rewrite("ok"), base + "ok");
  EXPECT_EQ(Rewrite(""), base);
}

std::string WithoutBase(std::string text) {
  const std::string base = R"(<base href="/p/">)";
  const auto at = text.find(base);
  return at == std::string::npos ? text : text.erase(at, base.size());
}

TEST(HtmlRewrite, PrefixesRootRelativeLinks) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"(<a href="/x?a=1">)", R"(<a href="/p/x?a=1">)"},
      {R"(<a HREF = '/x'>)", R"(<a HREF = '/p/x'>)"},
      {R"(<a href=/x>)", R"(<a href=/p/x>)"},
      {R"(<img alt="a > b" src="/i.png"/>)", R"(<img alt="a > b" src="/p/i.png"/>)"},
      {R"(<form method=post action="/do">)", R"(<form method=post action="/p/do">)"},
      {"<link\n  rel=\"stylesheet\"\n  href=\"/css\">", "<link\n  rel=\"stylesheet\"\n  href=\"/p/css\">"},
      {R"(<a href="/">)", R"(<a href="/p/">)"},
  };
  for (const auto& [page, expected] : cases) EXPECT_EQ(WithoutBase(Rewrite(page)), expected);
}

TEST(HtmlRewrite, LeavesTheRestAlone) {
  for (const std::string page : {
           R"(<a href="x">)",
           R"(<a href="//host/x">)",
           R"(<a href="http://host/x">)",
           R"(<a href="#x">)",
           R"(<a data-href="/x" title="/x">)",
           R"(<!-- <a href="/x"> -->)",
           R"(<script>if (a < b) s = '<a href="/x">';</script>)",
           R"(<style>a::after { content: '<a href="/x">' }</style>)",
           R"(<p>href="/x" a < b </p>)",
           R"(<a href>)",
           R"(<a href=>)",
       }) {
    EXPECT_EQ(WithoutBase(Rewrite(page)), page);
  }
}

TEST(HtmlRewrite, TakesBrokenPages) {
  const std::string page = R"(<!DOCTYPE html><html><head><a href="/x"><!-- c --><script>x</script><b a='c'></b>)";
  for (std::size_t length = 0; length <= page.size(); ++length) {
    const std::string part = page.substr(0, length);
    std::string text = WithoutBase(Rewrite(part));
    if (const auto at = text.find("/p/x"); at != std::string::npos) text.erase(at, 2);
    if (const auto at = text.find("\"/p/"); at != std::string::npos) text.erase(at + 1, 2);
    EXPECT_EQ(text, part);
  }
}

}  // namespace
}  // namespace multigres::admin
