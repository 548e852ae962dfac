#include "services/multiadmin/services_page.h"

#include "tools/http/message.h"

namespace multigres::admin {

using http::EncodePercent;
using http::EscapeHtml;

namespace {

void AppendLink(std::string& out, std::string_view text, std::string_view href) {
  out.append("<td><a href=\"").append(EscapeHtml(href)).append("\">").append(EscapeHtml(text)).append("</a></td>");
}

void AppendRow(std::string& out, std::string_view title, std::string_view name, std::string_view proxied,
               const std::optional<TcpAddress>& address) {
  out.append("<tr><td>").append(title).append("</td><td>").append(EscapeHtml(name)).append("</td>");
  if (address) {
    const std::string direct = "http://" + ToString(*address) + "/";
    AppendLink(out, proxied, proxied);
    AppendLink(out, direct, direct);
  } else {
    out.append("<td>no HTTP port</td><td></td>");
  }
  out.append("</tr>\n");
}

void BeginTable(std::string& out, std::string_view title) {
  out.append("<h2>").append(EscapeHtml(title)).append("</h2>\n<table>\n");
  out.append("<tr><th>Service</th><th>Name</th><th>Proxied</th><th>Direct</th></tr>\n");
}

void AppendError(std::string& out, std::string_view text) {
  out.append("<p><strong>Discovery Error</strong>: ").append(EscapeHtml(text)).append("</p>\n");
}

void AppendCell(std::string& out, const DiscoveredCell& cell) {
  BeginTable(out, "Cell: " + cell.name);
  for (const DiscoveredService& service : cell.services) {
    const std::string proxied =
        fmt::format("proxy/{}/{}/{}/", PathName(service.kind), EncodePercent(cell.name), EncodePercent(service.name));
    AppendRow(out, Title(service.kind), service.name, proxied, service.http);
  }
  out.append("</table>\n");
  if (!cell.error.empty()) AppendError(out, cell.error);
}

}  // namespace

std::string ServicesPage(const TcpAddress& self, const Result<std::vector<DiscoveredCell>>& cells) {
  std::string out =
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"30\">"
      "<title>Services</title><link rel=\"stylesheet\" href=\"css/status.css\"></head>\n<body><h1>Services</h1>\n";
  BeginTable(out, "Global");
  AppendRow(out, "multiadmin", "multiadmin", "proxy/admin/global/", self);
  out.append("</table>\n");
  if (!cells) {
    AppendError(out, cells.error().message());
  } else {
    for (const DiscoveredCell& cell : *cells) AppendCell(out, cell);
  }
  return out.append("</body></html>\n");
}

}  // namespace multigres::admin
