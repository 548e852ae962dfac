// The HTML status page that every service serves at "/": title, rows, links and tables. All text is escaped here.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace multigres::servenv {

struct StatusCell {
  StatusCell(std::string text) : text(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  StatusCell(const char* text) : text(text) {}             // NOLINT(google-explicit-constructor)
  StatusCell(std::string text, std::string href) : text(std::move(text)), href(std::move(href)) {}
  std::string text;
  std::string href;  // relative to the page, so that a proxy can serve it below a prefix; empty = no link
};

struct StatusTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<StatusCell>> rows;
};

// Filled during Init(). The functions run on the main reactor whenever the page is asked for, and must not wait.
class StatusPage {
 public:
  explicit StatusPage(std::string title);

  using Row = std::pair<std::string, std::string>;
  void AddRow(std::string name, std::string value);
  void AddRows(std::function<std::vector<Row>()> rows);
  // "" = healthy (`Initialization: Success`), else what is wrong. Several: the first that has something to say.
  void AddInitialization(std::function<std::string()> status);
  void AddTables(std::function<std::vector<StatusTable>()> tables);
  void AddLink(std::string text, std::string href);

  std::string Render() const;

 private:
  std::string title_;
  std::vector<std::function<std::vector<Row>()>> rows_;
  std::vector<std::function<std::string()>> initialization_;
  std::vector<std::function<std::vector<StatusTable>()>> tables_;
  std::vector<std::pair<std::string, std::string>> links_;
};

}  // namespace multigres::servenv
