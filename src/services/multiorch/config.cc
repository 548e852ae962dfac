#include "services/multiorch/config.h"

#include "common/topoclient/names.h"

namespace multigres::orch {

Result<> Validate(const Config& config) {
  auto cell = topo::ValidateCellName(config.cell);
  if (!cell) return Fail(std::move(cell), "--cell");
  const EngineOptions& engine = config.engine;
  const Thresholds& thresholds = engine.thresholds;
  const struct {
    const char* flag;
    Duration value;
    bool may_be_zero;
  } durations[] = {
      {"--recovery-cycle-interval", engine.cycle_interval, false},
      {"--pooler-health-check-interval", thresholds.report_interval, false},
      {"--failover-stagger", engine.graces.stagger, true},
      {"--leader-failover-grace-period-base", engine.graces.base, true},
      {"--leader-failover-grace-period-max-jitter", engine.graces.max_jitter, true},
      {"--leader-unheard-threshold", thresholds.unheard, false},
      {"--leader-stall-threshold", thresholds.stall, false},
      {"--leader-stuck-threshold", thresholds.stuck, false},
      {"--leader-postgres-response-threshold", thresholds.leader_response, false},
      {"--leader-pooler-grace", thresholds.leader_pooler, true},
      {"--verify-replication-timeout", config.verify_replication_timeout, false},
  };
  for (const auto& duration : durations) {
    if (duration.value < Duration::zero()) {
      return Fail(Code::kInvalidArgument, fmt::format("{} must not be negative", duration.flag));
    }
    if (duration.value == Duration::zero() && !duration.may_be_zero) {
      return Fail(Code::kInvalidArgument, fmt::format("{} must be positive", duration.flag));
    }
  }
  // A stall is told in reports: of fewer than two nothing is known.
  if (thresholds.stall < 2 * thresholds.report_interval) {
    return Fail(Code::kInvalidArgument,
                "--leader-stall-threshold must be at least twice --pooler-health-check-interval");
  }
  return {};
}

}  // namespace multigres::orch
