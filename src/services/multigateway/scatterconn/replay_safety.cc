#include "services/multigateway/scatterconn/replay_safety.h"

#include <cctype>
#include <string>

#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {

namespace {

// Lower case, one blank between words.
std::string Words(std::string_view text) {
  std::string words;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      words.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (!words.empty() && words.back() != ' ') {
      words.push_back(' ');
    }
  }
  return words;
}

bool IsOff(std::string_view value) {
  const std::string text = Words(value);
  return text == "off" || text == "false" || text == "no" || text == "0";
}

}  // namespace

bool IsReplaySafeIfReadOnly(const session::Session& session) {
  if (session.reservation().held()) return false;
  const session::Transaction& transaction = session.transaction();
  if (!transaction.idle()) {
    if (!transaction.begin_unsent()) return false;
    const std::string begin = Words(transaction.begin_text());
    if (begin.find("read only") != std::string::npos) return false;
    if (begin.find("read write") != std::string::npos) return true;
  }
  const std::string* by_default = session.settings().settings()->Find("default_transaction_read_only");
  return by_default == nullptr || IsOff(*by_default);
}

}  // namespace multigres::gateway::scatterconn
