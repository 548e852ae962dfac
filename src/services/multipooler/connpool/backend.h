// A connection to PostgreSQL with what the pool knows of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/pgclient/connection.h"
#include "services/multipooler/connpool/prepared_names.h"
#include "services/multipooler/connpool/settings_label.h"

namespace multigres::pooler::connpool {

struct Backend {
  Backend(std::unique_ptr<pgclient::Connection> connection, LabelRef label, std::size_t prepared_capacity)
      : connection(std::move(connection)), label(std::move(label)), prepared(prepared_capacity) {}

  std::unique_ptr<pgclient::Connection> connection;
  // The settings it wears; the pool's clean label after connecting.
  LabelRef label;
  // Kept apart from the label: set just before the first statement of a borrower whose name is another.
  std::string application_name;
  PreparedSet prepared;
  // Fell out of `prepared`: to be closed in the next extended pipeline.
  std::vector<std::string> to_close;
  std::uint64_t generation = 0;            // of the pool when it was opened
  TimePoint expires;                       // end of its lifetime: not reused then
  TimePoint idle_since;                    // while pooled
  std::uint32_t client_connection_id = 0;  // the borrower's, for logs and the status page; 0 = none
  // Something stays on it that no reset takes away (temporary tables): close it instead of pooling it.
  bool tainted = false;
};

}  // namespace multigres::pooler::connpool
