// PostgreSQL's diagnostics between their two forms.
#pragma once

#include "tools/result/error.h"

namespace query {
class PgDiagnostic;
}

namespace multigres::mterrors {

// Text that isn't UTF-8 comes out with U+FFFD in place of the bad bytes: proto3 has no other strings.
void ToProto(const PgDiagnostic& diagnostic, ::query::PgDiagnostic& proto);
// A message_type that is none counts as an error's.
PgDiagnostic FromProto(const ::query::PgDiagnostic& proto);

}  // namespace multigres::mterrors
