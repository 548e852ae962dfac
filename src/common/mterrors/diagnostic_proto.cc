#include "common/mterrors/diagnostic_proto.h"

#include "query.pb.h"

namespace multigres::mterrors {

void ToProto(const PgDiagnostic& diagnostic, ::query::PgDiagnostic& proto) {
  proto.set_message_type(static_cast<unsigned char>(diagnostic.message_type));
  proto.set_severity(diagnostic.severity);
  proto.set_code(diagnostic.code);
  proto.set_message(diagnostic.message);
  proto.set_detail(diagnostic.detail);
  proto.set_hint(diagnostic.hint);
  proto.set_position(diagnostic.position);
  proto.set_internal_position(diagnostic.internal_position);
  proto.set_internal_query(diagnostic.internal_query);
  proto.set_where(diagnostic.where);
  proto.set_schema_name(diagnostic.schema_name);
  proto.set_table_name(diagnostic.table_name);
  proto.set_column_name(diagnostic.column_name);
  proto.set_data_type_name(diagnostic.data_type_name);
  proto.set_constraint_name(diagnostic.constraint_name);
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
