// What the planner has to know about a statement. Facts only: what follows from them is the planner's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace multigres::sqlparse {

enum class StatementKind : std::uint8_t {
  kSelect,  // VALUES and TABLE too
  kInsert,
  kUpdate,
  kDelete,
  kMerge,
  kBegin,  // START TRANSACTION too
  kCommit,
  kRollback,
  kSavepoint,
  kReleaseSavepoint,
  kRollbackToSavepoint,
  kPrepareTransaction,
  kCommitPrepared,
  kRollbackPrepared,
  kSet,                 // name, value
  kSetFromCurrent,      // name
  kSetTransaction,      // also SET transaction_isolation and the like: ends with the transaction
  kSetCharacteristics,  // SET SESSION CHARACTERISTICS: settings
  kReset,               // name; also SET x TO DEFAULT
  kResetAll,
  kShow,  // name; "all"
  kPrepare,
  kExecute,
  kDeallocate,
  kDeallocateAll,
  kDiscardAll,
  kDiscardTemp,
  kDiscardOther,
  kCopyFromStdin,
  kCopyToStdout,
  kDeclareCursor,
  kClose,
  kCloseAll,
  kListen,
  kUnlisten,
  kExplain,
  kUtility,      // anything else, to be forwarded
  kSyntaxError,  // can't be run by any server: `syntax_error`
};

// What a statement does beyond its result, as bits.
enum Effect : std::uint32_t {
  kCreatesTemp = 1U << 0,
  kTakesAdvisoryLock = 1U << 1,  // session level
  kReleasesAdvisoryLock = 1U << 2,
  kSetsSeed = 1U << 3,
  kOpensHoldCursor = 1U << 4,
  kCreatesUnloggedTable = 1U << 5,
  kCreatesUnloggedSequence = 1U << 6,
  kCreatesLoginTrigger = 1U << 7,
  kCreatesLogicalSlot = 1U << 8,
};

// What can't be carried out safely behind a pooler.
enum class HazardKind : std::uint8_t {
  kStatement,  // detail: "ALTER SYSTEM"
  kFunction,   // detail: its name
  kCopyProgram,
  kCreateInPgTemp,
  kSynchronousCommit,
  kPgTempInSearchPath,
  kSetFromCurrent,     // detail: the setting
  kPermanentSlot,      // detail: the function
  kSetConfigPlace,     // outside of a plain top-level SELECT's targets
  kSetConfigArgument,  // detail: "name", "value" or "is_local"
  kSetConfigBound,     // detail: as above; an argument is a parameter
  kGatewayVariable,    // detail: the variable, assigned or read by a function
};

struct Hazard {
  HazardKind kind;
  std::string detail;
};

struct Assignment {
  std::string name;  // folded
  std::string value;
};

// set_config('name', 'value', false) as a target of the outermost SELECT.
struct SetConfigCall {
  std::string name;                  // folded
  std::optional<std::string> value;  // nullopt = NULL: reset
  // Its name is a row's: pg_settings filtered by this name. Without a row it does nothing.
  bool from_pg_settings = false;
  // Where the third argument stands in the source text, and what makes it true there.
  std::size_t flag_begin = 0;
  std::size_t flag_end = 0;
};

struct SyntaxError {
  std::string sqlstate;
  std::string message;
  std::int32_t position = 0;  // 1-based, in characters of the statement's own text; 0 = none
};

struct Statement {
  StatementKind kind = StatementKind::kUtility;
  // The grammar knows it. Otherwise it is classified by its tokens, and the facts err on the safe side.
  bool parsed = true;
  // Its text in the source, without blanks around it or the semicolon.
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint32_t effects = 0;
  std::vector<Hazard> hazards;
  std::int32_t max_parameter = 0;  // the highest $n

  // By kind: the setting (folded), savepoint, prepared statement, cursor (names as PostgreSQL folds identifiers) or
  // channel.
  std::string name;
  std::string value;        // of kSet, as set_config() takes it
  bool is_local = false;    // SET LOCAL
  bool to_default = false;  // kReset written as SET x TO DEFAULT
  bool chain = false;       // COMMIT or ROLLBACK AND CHAIN
  // BEGIN's form and options.
  bool start_transaction = false;
  bool sets_isolation_or_deferrable = false;
  std::optional<bool> read_only;
  std::vector<Assignment> settings;       // of kSetCharacteristics
  std::vector<SetConfigCall> set_config;  // of a plain SELECT
  bool has_set_config = false;            // anywhere
  std::optional<SyntaxError> syntax_error;

  // PREPARE: the types as written, with where they begin in the source text, and the statement itself. `body` is null
  // if it couldn't be found.
  struct TypeName {
    std::string name;
    std::size_t begin = 0;
  };
  std::vector<TypeName> type_names;
  std::unique_ptr<Statement> body;
  // EXECUTE, also below EXPLAIN and CREATE TABLE AS: where the statement's name stands in the source text.
  std::string executes;
  std::size_t executes_begin = 0;
  std::size_t executes_end = 0;

  std::string_view Text(std::string_view source) const { return source.substr(begin, end - begin); }
};

struct ParsedQuery {
  std::vector<Statement> statements;
};

}  // namespace multigres::sqlparse
