#include "common/servenv/flag_value.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace multigres::servenv {

namespace {

Error Invalid(std::string text) {
  return Error(Code::kInvalidArgument, std::move(text));
}

Result<> Set(std::string& field, const std::string& text) {
  field = text;
  return {};
}

Result<> Set(bool& field, const std::string& text) {
  if (text == "true" || text == "1" || text == "t" || text == "TRUE" || text == "True") {
    field = true;
  } else if (text == "false" || text == "0" || text == "f" || text == "FALSE" || text == "False") {
    field = false;
  } else {
    return std::unexpected(Invalid("not true or false"));
  }
  return {};
}

template <std::integral T>
Result<> Set(T& field, const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::unexpected(Invalid(
        fmt::format("not a whole number from {} to {}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max())));
  }
  field = value;
  return {};
}

Result<> Set(double& field, const std::string& text) {
  double value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::unexpected(Invalid("not a number"));
  }
  field = value;
  return {};
}

Result<> Set(Duration& field, const std::string& text) {
  auto value = ParseDuration(text);
  if (!value) return std::unexpected(std::move(value.error()));
  field = *value;
  return {};
}

std::string Text(const std::string& value) {
  return value;
}
std::string Text(bool value) {
  return value ? "true" : "false";
}
std::string Text(double value) {
  return fmt::format("{}", value);
}
std::string Text(Duration value) {
  return FormatDuration(value);
}
template <std::integral T>
std::string Text(T value) {
  return std::to_string(value);
}
std::string Text(const std::vector<std::string>& value) {
  return fmt::format("{}", fmt::join(value, ","));
}

std::vector<std::string> SplitAtCommas(const std::vector<std::string>& values) {
  std::vector<std::string> items;
  for (std::string_view value : values) {
    while (!value.empty()) {
      const std::string_view item = value.substr(0, value.find(','));
      if (!item.empty()) items.emplace_back(item);
      value.remove_prefix(std::min(item.size() + 1, value.size()));
    }
  }
  return items;
}

}  // namespace

Result<> SetValue(const FlagTarget& target, const std::vector<std::string>& values) {
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&target)) {
    **list = SplitAtCommas(values);
    return {};
  }
  const std::string& last = values.back();
  return std::visit(
      [&](auto* field) -> Result<> {
        if constexpr (std::is_same_v<decltype(field), std::vector<std::string>*>) {
          return {};
        } else {
          return Set(*field, last);
        }
      },
      target);
}

std::string ValueText(const FlagTarget& target) {
  return std::visit([](const auto* field) { return Text(*field); }, target);
}

std::string ValueJson(const FlagTarget& target) {
  return std::visit(
      [](const auto* field) {
        using T = std::remove_cvref_t<decltype(*field)>;
        if constexpr (std::is_same_v<T, Duration>) {
          return std::to_string(field->count());
        } else {
          return nlohmann::json(*field).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        }
      },
      target);
}

std::string_view TypeName(const FlagTarget& target) {
  static constexpr std::array<std::string_view, std::variant_size_v<FlagTarget>> kNames = {
      "string", "", "number", "number", "number", "number", "number", "number", "duration", "list"};
  return kNames[target.index()];
}

std::vector<std::string> SaveValue(const FlagTarget& target) {
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&target)) return **list;
  return {ValueText(target)};
}

}  // namespace multigres::servenv
