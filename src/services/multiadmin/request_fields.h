// Setting a message's fields from the text of a URL.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/result/error.h"

namespace google::protobuf {
class Message;
}

namespace multigres::admin {

// `path` as in the .proto file: "pooler_id.cell". CHECKs that there is such a text field.
void SetPathField(google::protobuf::Message& message, std::string_view path, const std::string& value);

// Scalar fields at the top level, in lowerCamelCase or as in the .proto file; a repeated field takes every value given.
// INVALID_ARGUMENT for a name that isn't there (`taken`: set by the path), a second value, or one of the wrong type.
Result<> SetQueryFields(google::protobuf::Message& message,
                        const std::vector<std::pair<std::string, std::string>>& query,
                        const std::vector<std::string>& taken);

}  // namespace multigres::admin
