// Serving another server's page below a path of ours.
#pragma once

#include <string>
#include <string_view>

namespace multigres::admin {

// The page with `<base href="PREFIX/">` at the start of its head and PREFIX before every root-relative href, src and
// action ("/x", not "//host/x"). Comments and the text of scripts and styles stay as they are. `prefix`: "/proxy/a/b",
// without characters that HTML would need escaped.
std::string RewriteHtml(std::string_view html, std::string_view prefix);

}  // namespace multigres::admin
