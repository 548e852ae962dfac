// The parameters that PostgreSQL reports (GUC_REPORT), as the client knows them and as they are.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multigres::gateway::session {

class ReportedParameters {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  // `at_login`: what the client was told before its first ReadyForQuery, startup overrides included; what RESET returns
  // to. Names with their canonical spelling ("TimeZone").
  explicit ReportedParameters(Map at_login);

  // Null if PostgreSQL doesn't report it. Names are compared without regard to ASCII case.
  const std::string* Get(std::string_view name) const;
  bool Contains(std::string_view name) const { return Get(name) != nullptr; }

  // A backend reported it, or a probe found it. Unreported names are ignored.
  void Observe(std::string_view name, std::string_view value);
  void Reset(std::string_view name);
  void ResetAll();

  void Begin();
  void Commit() { at_begin_.reset(); }
  // For a transaction whose backend can't report the rollback any more.
  void Rollback();

  // What differs from what the client was last told, told by this call: ParameterStatus messages to send before the
  // next ReadyForQuery.
  std::vector<std::pair<std::string, std::string>> TakeChanges();
  bool HasChanges() const { return now_ != told_; }

 private:
  using MapPtr = std::shared_ptr<const Map>;
  MapPtr at_login_;
  MapPtr now_;
  MapPtr told_;
  MapPtr at_begin_;
};

}  // namespace multigres::gateway::session
