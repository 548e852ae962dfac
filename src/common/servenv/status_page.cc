#include "common/servenv/status_page.h"

#include "tools/http/message.h"

namespace multigres::servenv {

namespace {

using http::EscapeHtml;

void AppendCell(std::string& out, std::string_view tag, const StatusCell& cell) {
  out.append("<").append(tag).append(">");
  if (cell.href.empty()) {
    out.append(EscapeHtml(cell.text));
  } else {
    out.append("<a href=\"").append(EscapeHtml(cell.href)).append("\">").append(EscapeHtml(cell.text)).append("</a>");
  }
  out.append("</").append(tag).append(">");
}

void AppendRow(std::string& out, const StatusPage::Row& row) {
  out.append("<tr>");
  AppendCell(out, "th", row.first);
  AppendCell(out, "td", row.second);
  out.append("</tr>\n");
}

void AppendTable(std::string& out, const StatusTable& table) {
  out.append("<h2>").append(EscapeHtml(table.title)).append("</h2>\n<table>\n<tr>");
  for (const std::string& column : table.columns) AppendCell(out, "th", column);
  out.append("</tr>\n");
  for (const auto& row : table.rows) {
    out.append("<tr>");
    for (const StatusCell& cell : row) AppendCell(out, "td", cell);
    out.append("</tr>\n");
  }
  out.append("</table>\n");
}

}  // namespace

StatusPage::StatusPage(std::string title) : title_(std::move(title)) {}

void StatusPage::AddRow(std::string name, std::string value) {
  AddRows([row = Row(std::move(name), std::move(value))] { return std::vector<Row>{row}; });
}

void StatusPage::AddRows(std::function<std::vector<Row>()> rows) {
  rows_.push_back(std::move(rows));
}

void StatusPage::AddInitialization(std::function<std::string()> status) {
  initialization_.push_back(std::move(status));
}

void StatusPage::AddTables(std::function<std::vector<StatusTable>()> tables) {
  tables_.push_back(std::move(tables));
}

void StatusPage::AddLink(std::string text, std::string href) {
  links_.emplace_back(std::move(text), std::move(href));
}

std::string StatusPage::Render() const {
  const std::string title = EscapeHtml(title_);
  std::string out = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"30\">";
  out.append("<title>").append(title).append(
      "</title><link rel=\"stylesheet\" href=\"css/status.css\"></head>\n<body>");
  out.append("<h1>").append(title).append("</h1>\n<table>\n");
  std::string problem;
  for (const auto& status : initialization_) {
    if (problem.empty()) problem = status();
  }
  AppendRow(out, {"Initialization", problem.empty() ? "Success" : problem});
  for (const auto& rows : rows_) {
    for (const Row& row : rows()) AppendRow(out, row);
  }
  out.append("</table>\n");
  for (const auto& tables : tables_) {
    for (const StatusTable& table : tables()) AppendTable(out, table);
  }
  out.append("<ul>\n");
  for (const auto& [text, href] : links_) {
    AppendCell(out, "li", StatusCell(text, href));
    out.append("\n");
  }
  out.append("</ul>\n</body></html>\n");
  return out;
}

}  // namespace multigres::servenv
