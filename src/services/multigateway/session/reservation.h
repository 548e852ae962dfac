// A backend held for one session, as its pooler last told it.
#pragma once

#include <cstdint>
#include <string>

namespace multigres::gateway::session {

// Bits of multipoolerservice.ReservationReason.
namespace reason {
inline constexpr std::uint32_t kTransaction = 1;
inline constexpr std::uint32_t kTempTable = 2;
inline constexpr std::uint32_t kPortal = 4;
inline constexpr std::uint32_t kCopy = 8;
inline constexpr std::uint32_t kListen = 16;
inline constexpr std::uint32_t kLogicalReplication = 32;
inline constexpr std::uint32_t kAdvisoryLock = 64;
inline constexpr std::uint32_t kSetSeed = 128;
}  // namespace reason

struct Reservation {
  std::uint64_t connection_id = 0;  // 0 = none
  std::string pooler_id;            // topology name of the pooler that holds it ("multipooler-zone1-x7k2")
  std::uint32_t reasons = 0;
  std::uint32_t backend_process_id = 0;

  bool held() const { return connection_id != 0; }
  bool Has(std::uint32_t bits) const { return held() && (reasons & bits) != 0; }
};

}  // namespace multigres::gateway::session
