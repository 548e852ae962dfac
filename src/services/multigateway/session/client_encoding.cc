#include "services/multigateway/session/client_encoding.h"

#include <algorithm>
#include <array>

#include "services/multigateway/session/settings.h"

namespace multigres::gateway::session {

bool IsLexingUnsafeEncoding(std::string_view name) {
  static constexpr auto kUnsafe = std::to_array<std::string_view>(
      {"sjis", "shiftjis", "shiftjis2004", "mskanji", "win932", "windows932", "big5", "win950", "windows950", "gbk",
       "win936", "windows936", "gb18030", "uhc", "win949", "windows949", "johab"});
  std::string letters;
  for (char c : FoldName(name)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) letters.push_back(c);
  }
  return std::ranges::find(kUnsafe, letters) != kUnsafe.end();
}

}  // namespace multigres::gateway::session
