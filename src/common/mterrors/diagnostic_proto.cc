#include "common/mterrors/diagnostic_proto.h"

#include "common/mterrors/utf8.h"
#include "query.pb.h"

namespace multigres::mterrors {

void ToProto(const PgDiagnostic& diagnostic, ::query::PgDiagnostic& proto) {
  proto.set_message_type(static_cast<unsigned char>(diagnostic.message_type));
  proto.set_severity(ToUtf8(diagnostic.severity));
  proto.set_code(ToUtf8(diagnostic.code));
  proto.set_message(ToUtf8(diagnostic.message));
  proto.set_detail(ToUtf8(diagnostic.detail));
  proto.set_hint(ToUtf8(diagnostic.hint));
  proto.set_position(diagnostic.position);
  proto.set_internal_position(diagnostic.internal_position);
  proto.set_internal_query(ToUtf8(diagnostic.internal_query));
  proto.set_where(ToUtf8(diagnostic.where));
  proto.set_schema_name(ToUtf8(diagnostic.schema_name));
  proto.set_table_name(ToUtf8(diagnostic.table_name));
  proto.set_column_name(ToUtf8(diagnostic.column_name));
  proto.set_data_type_name(ToUtf8(diagnostic.data_type_name));
  proto.set_constraint_name(ToUtf8(diagnostic.constraint_name));
}

PgDiagnostic FromProto(const ::query::PgDiagnostic& proto) {
  return {
      .message_type = proto.message_type() == 'N' ? 'N' : 'E',
      .severity = proto.severity(),
      .code = proto.code(),
      .message = proto.message(),
      .detail = proto.detail(),
      .hint = proto.hint(),
      .position = proto.position(),
      .internal_position = proto.internal_position(),
      .internal_query = proto.internal_query(),
      .where = proto.where(),
      .schema_name = proto.schema_name(),
      .table_name = proto.table_name(),
      .column_name = proto.column_name(),
      .data_type_name = proto.data_type_name(),
      .constraint_name = proto.constraint_name(),
  };
}

}  // namespace multigres::mterrors
