// The JSON form of messages (protobuf's "ProtoJSON format"): lowerCamelCase names, enum names, 64-bit integers as text,
// unset fields left out.
#pragma once

#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace google::protobuf {
class Message;
}

namespace multigres::protojson {

// One line; the entries of a map are in the order of their keys. INTERNAL for a message that has no JSON form (a
// Timestamp out of range).
Result<std::string> ToJson(const google::protobuf::Message& message);

// Merges a JSON object into `message`. Names in lowerCamelCase or as in the .proto file; enums by name or number.
// INVALID_ARGUMENT for anything else than an object of known fields, in one line.
Result<> FromJson(std::string_view text, google::protobuf::Message& message);

}  // namespace multigres::protojson
