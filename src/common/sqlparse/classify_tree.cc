#include "common/sqlparse/classify_tree.h"

#include <algorithm>

#include "common/sqlparse/function_catalog.h"
#include "common/sqlparse/set_values.h"
#include "common/sqlparse/token_facts.h"

namespace multigres::sqlparse {
namespace {

namespace t = tree;
using Kind = StatementKind;

bool IsGatewayVariable(std::string_view name) {
  return name == "statement_timeout" || name == "idle_session_timeout";
}

struct Literal {
  enum class Form : std::uint8_t { kText, kNull, kTrue, kFalse, kParameter, kOther };
  Form form = Form::kOther;
  std::string text;
  std::int64_t location = 0;
};

// A string literal where a boolean is wanted.
Literal AsBoolean(Literal literal) {
  if (literal.form != Literal::Form::kText) return literal;
  std::string folded = FoldSettingName(literal.text);
  bool yes = folded == "t" || folded == "true" || folded == "on" || folded == "yes" || folded == "1";
  bool no = folded == "f" || folded == "false" || folded == "off" || folded == "no" || folded == "0";
  literal.form = yes ? Literal::Form::kTrue : no ? Literal::Form::kFalse : Literal::Form::kOther;
  return literal;
}

// An argument's value if it is plain in the text, through casts that don't change it.
Literal LiteralOf(TreeNode node) {
  if (node.Is(t::Type::ParamRef)) return {Literal::Form::kParameter, "", node.Number(t::ParamRef_::k_location)};
  if (node.Is(t::Type::TypeCast)) {
    auto names = node.Child(t::TypeCast_::k_type_name).Children(t::TypeName_::k_names);
    std::string_view type = names.empty() ? std::string_view() : names.back().Text(t::String_::k_sval);
    Literal inner = LiteralOf(node.Child(t::TypeCast_::k_arg));
    if (type == "text" || type == "varchar" || type == "unknown") return inner;
    return type == "bool" ? AsBoolean(std::move(inner)) : Literal();
  }
  if (!node.Is(t::Type::A_Const)) return {};
  std::int64_t location = node.Number(t::A_Const_::k_location);
  if (node.Number(t::A_Const_::k_isnull) != 0) return {Literal::Form::kNull, "", location};
  if (TreeNode text = node.Child(t::A_Const_::k_sval)) {
    return {Literal::Form::kText, std::string(text.Text(t::String_::k_sval)), location};
  }
  if (TreeNode flag = node.Child(t::A_Const_::k_boolval)) {
    bool yes = flag.Number(t::Boolean_::k_boolval) != 0;
    return {yes ? Literal::Form::kTrue : Literal::Form::kFalse, "", location};
  }
  return {};
}

// A column of that name, qualified or not.
bool IsColumn(TreeNode node, std::string_view name) {
  if (!node.Is(t::Type::ColumnRef)) return false;
  auto fields = node.Children(t::ColumnRef_::k_fields);
  return !fields.empty() && fields.back().Text(t::String_::k_sval) == name;
}

// The setting of SELECT ... FROM pg_settings WHERE name = 'setting', as pg_dump asks for one that may not exist.
std::optional<std::string> FilteredSettingName(TreeNode select) {
  auto from = select.Children(t::SelectStmt_::k_from_clause);
  if (from.size() != 1 || !from[0].Is(t::Type::RangeVar)) return std::nullopt;
  if (from[0].Text(t::RangeVar_::k_relname) != "pg_settings") return std::nullopt;
  TreeNode where = select.Child(t::SelectStmt_::k_where_clause);
  if (!where.Is(t::Type::A_Expr)) return std::nullopt;
  auto operators = where.Children(t::A_Expr_::k_name);
  bool equality = operators.size() == 1 && operators[0].Text(t::String_::k_sval) == "=";
  Literal name = LiteralOf(where.Child(t::A_Expr_::k_rexpr));
  if (!equality || !IsColumn(where.Child(t::A_Expr_::k_lexpr), "name") || name.form != Literal::Form::kText) {
    return std::nullopt;
  }
  return FoldSettingName(name.text);
}

class TreeClassifier {
 public:
  TreeClassifier(std::string_view source, std::size_t origin, bool standard_strings, Statement& out)
      : source_(source), origin_(origin), standard_strings_(standard_strings), out_(out) {}

  void Classify(TreeNode root) {
    ClassifyRoot(root);
    Walk(root, [this](TreeNode node) { return VisitAny(node); });
    if (!effects_count_) out_.effects &= ~kFunctionEffects;
  }

 private:
  static constexpr std::uint32_t kFunctionEffects =
      kTakesAdvisoryLock | kReleasesAdvisoryLock | kSetsSeed | kCreatesLogicalSlot;

  void Forbid(std::string_view what) { out_.hazards.push_back({HazardKind::kStatement, std::string(what)}); }

  void ClassifyRoot(TreeNode root) {
    switch (root.type()) {
      case t::Type::SelectStmt:
        effects_count_ = true;
        out_.kind = Kind::kSelect;
        return NoteTopLevelSetConfig(root);
      case t::Type::InsertStmt:
        effects_count_ = true;
        out_.kind = Kind::kInsert;
        return;
      case t::Type::UpdateStmt:
        effects_count_ = true;
        out_.kind = Kind::kUpdate;
        return;
      case t::Type::DeleteStmt:
        effects_count_ = true;
        out_.kind = Kind::kDelete;
        return;
      case t::Type::MergeStmt:
        effects_count_ = true;
        out_.kind = Kind::kMerge;
        return;
      case t::Type::TransactionStmt:
        return ClassifyTransaction(root);
      case t::Type::VariableSetStmt:
        return ClassifySet(root);
      case t::Type::VariableShowStmt:
        out_.kind = Kind::kShow;
        out_.name = FoldSettingName(root.Text(t::VariableShowStmt_::k_name));
        return;
      case t::Type::PrepareStmt:
        return ClassifyPrepare(root);
      case t::Type::DeallocateStmt:
        out_.name = root.Text(t::DeallocateStmt_::k_name);
        out_.kind = out_.name.empty() ? Kind::kDeallocateAll : Kind::kDeallocate;
        return;
      case t::Type::DiscardStmt:
        return ClassifyDiscard(root);
      case t::Type::CopyStmt:
        return ClassifyCopy(root);
      case t::Type::DeclareCursorStmt:
        effects_count_ = true;
        out_.kind = Kind::kDeclareCursor;
        out_.name = root.Text(t::DeclareCursorStmt_::k_portalname);
        if (root.Number(t::DeclareCursorStmt_::k_options) & 0x0020) out_.effects |= kOpensHoldCursor;
        return;
      case t::Type::ClosePortalStmt:
        out_.name = root.Text(t::ClosePortalStmt_::k_portalname);
        out_.kind = out_.name.empty() ? Kind::kCloseAll : Kind::kClose;
        return;
      case t::Type::ListenStmt:
        out_.kind = Kind::kListen;
        out_.name = root.Text(t::ListenStmt_::k_conditionname);
        return;
      case t::Type::UnlistenStmt:
        out_.kind = Kind::kUnlisten;
        out_.name = root.Text(t::UnlistenStmt_::k_conditionname);
        return;
      case t::Type::ExplainStmt:
        return ClassifyExplain(root);
      case t::Type::ExecuteStmt:
        effects_count_ = true;
        out_.kind = Kind::kExecute;
        return;
      case t::Type::CallStmt:
      case t::Type::CreateTableAsStmt:
        effects_count_ = true;
        return;
      default:
        return ClassifyUtility(root);
    }
  }

  void ClassifyUtility(TreeNode root) {
    switch (root.type()) {
      case t::Type::LoadStmt:
        return Forbid("LOAD");
      case t::Type::AlterSystemStmt:
        return Forbid("ALTER SYSTEM");
      case t::Type::CreatedbStmt:
        return Forbid("CREATE DATABASE");
      case t::Type::DropdbStmt:
        return Forbid("DROP DATABASE");
      case t::Type::CreatePLangStmt:
        return Forbid("CREATE LANGUAGE");
      case t::Type::CreateSubscriptionStmt:
        return Forbid("CREATE SUBSCRIPTION");
      case t::Type::CreateFdwStmt:
        return Forbid("CREATE FOREIGN DATA WRAPPER");
      case t::Type::CreateForeignServerStmt:
        return Forbid("CREATE SERVER");
      case t::Type::CreateExtensionStmt:
        // CREATE LANGUAGE x is CREATE EXTENSION x to the grammar.
        if (HasLeadingKeyword(Tokens(), "language", 5)) Forbid("CREATE LANGUAGE");
        return;
      case t::Type::CreateEventTrigStmt:
        if (root.Text(t::CreateEventTrigStmt_::k_eventname) == "login") out_.effects |= kCreatesLoginTrigger;
        return;
      case t::Type::CreateFunctionStmt:
        return NoteQualifiedName(root.Children(t::CreateFunctionStmt_::k_funcname));
      case t::Type::CreateDomainStmt:
        return NoteQualifiedName(root.Children(t::CreateDomainStmt_::k_domainname));
      case t::Type::CreateEnumStmt:
        return NoteQualifiedName(root.Children(t::CreateEnumStmt_::k_type_name));
      case t::Type::CreateRangeStmt:
        return NoteQualifiedName(root.Children(t::CreateRangeStmt_::k_type_name));
      case t::Type::DefineStmt:
        return NoteQualifiedName(root.Children(t::DefineStmt_::k_defnames));
      default:
        return;
    }
  }

  void NoteQualifiedName(const std::vector<TreeNode>& names) {
    if (names.size() > 1 && names[names.size() - 2].Text(t::String_::k_sval).starts_with("pg_temp")) {
      out_.hazards.push_back({HazardKind::kCreateInPgTemp, ""});
    }
  }

  void ClassifyTransaction(TreeNode root) {
    out_.name = root.Text(t::TransactionStmt_::k_savepoint_name);
    out_.chain = root.Number(t::TransactionStmt_::k_chain) != 0;
    switch (root.Number(t::TransactionStmt_::k_kind)) {
      case t::TransactionStmtKind::kTRANS_STMT_BEGIN:
      case t::TransactionStmtKind::kTRANS_STMT_START:
        out_.kind = Kind::kBegin;
        out_.start_transaction = root.Number(t::TransactionStmt_::k_kind) == t::TransactionStmtKind::kTRANS_STMT_START;
        for (TreeNode option : root.Children(t::TransactionStmt_::k_options)) {
          if (option.Text(t::DefElem_::k_defname) == "transaction_read_only") {
            out_.read_only = CharacteristicsOf({option}).front().value == "on";
          } else {
            out_.sets_isolation_or_deferrable = true;
          }
        }
        return;
      case t::TransactionStmtKind::kTRANS_STMT_COMMIT:
        out_.kind = Kind::kCommit;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_ROLLBACK:
        out_.kind = Kind::kRollback;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_SAVEPOINT:
        out_.kind = Kind::kSavepoint;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_RELEASE:
        out_.kind = Kind::kReleaseSavepoint;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_ROLLBACK_TO:
        out_.kind = Kind::kRollbackToSavepoint;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_PREPARE:
        out_.kind = Kind::kPrepareTransaction;
        return;
      case t::TransactionStmtKind::kTRANS_STMT_COMMIT_PREPARED:
        out_.kind = Kind::kCommitPrepared;
        return;
      default:
        out_.kind = Kind::kRollbackPrepared;
    }
  }

  void ClassifySet(TreeNode root) {
    std::string_view raw_name = root.Text(t::VariableSetStmt_::k_name);
    out_.name = FoldSettingName(raw_name);
    out_.is_local = root.Number(t::VariableSetStmt_::k_is_local) != 0;
    switch (root.Number(t::VariableSetStmt_::k_kind)) {
      case t::VariableSetKind::kVAR_SET_VALUE:
        out_.kind = IsTransactionSetting(out_.name) ? Kind::kSetTransaction : Kind::kSet;
        out_.value = FlattenSetArguments(out_.name, root.Children(t::VariableSetStmt_::k_args));
        if (out_.name == "seed") out_.effects |= kSetsSeed;
        effects_count_ = true;
        return;
      case t::VariableSetKind::kVAR_SET_DEFAULT:
        out_.kind = IsTransactionSetting(out_.name) ? Kind::kSetTransaction : Kind::kReset;
        out_.to_default = true;
        return;
      case t::VariableSetKind::kVAR_SET_CURRENT:
        out_.kind = Kind::kSetFromCurrent;
        return;
      case t::VariableSetKind::kVAR_RESET:
        out_.kind = IsTransactionSetting(out_.name) ? Kind::kSetTransaction : Kind::kReset;
        return;
      case t::VariableSetKind::kVAR_RESET_ALL:
        out_.kind = Kind::kResetAll;
        return;
      default:
        if (raw_name == "SESSION CHARACTERISTICS") {
          out_.kind = Kind::kSetCharacteristics;
          out_.settings = CharacteristicsOf(root.Children(t::VariableSetStmt_::k_args));
        } else {
          out_.kind = Kind::kSetTransaction;
        }
    }
  }

  void ClassifyPrepare(TreeNode root) {
    out_.kind = Kind::kPrepare;
    out_.name = root.Text(t::PrepareStmt_::k_name);
    PrepareParts parts = FindPrepareParts(Tokens());
    if (!parts.found) return;
    out_.type_names = std::move(parts.type_names);
    for (Statement::TypeName& type : out_.type_names) type.begin += out_.begin;
    out_.body = std::make_unique<Statement>();
    out_.body->begin = out_.begin + parts.body_begin;
    out_.body->end = out_.end;
    ClassifyTree(root.Child(t::PrepareStmt_::k_query), source_, origin_, standard_strings_, *out_.body);
  }

  void ClassifyDiscard(TreeNode root) {
    std::int64_t target = root.Number(t::DiscardStmt_::k_target);
    out_.kind = target == t::DiscardMode::kDISCARD_ALL    ? Kind::kDiscardAll
                : target == t::DiscardMode::kDISCARD_TEMP ? Kind::kDiscardTemp
                                                          : Kind::kDiscardOther;
  }

  void ClassifyCopy(TreeNode root) {
    effects_count_ = true;
    if (root.Number(t::CopyStmt_::k_is_program) != 0) {
      out_.hazards.push_back({HazardKind::kCopyProgram, ""});
    } else if (root.Text(t::CopyStmt_::k_filename).empty()) {
      out_.kind = root.Number(t::CopyStmt_::k_is_from) != 0 ? Kind::kCopyFromStdin : Kind::kCopyToStdout;
    }
  }

  void ClassifyExplain(TreeNode root) {
    out_.kind = Kind::kExplain;
    for (TreeNode option : root.Children(t::ExplainStmt_::k_options)) {
      // Whatever its value: only an executed statement has effects, and pinning too much does no harm.
      if (option.Text(t::DefElem_::k_defname) == "analyze") effects_count_ = true;
    }
    explain_ = true;
  }

  void NoteTopLevelSetConfig(TreeNode select) {
    bool plain = select.Number(t::SelectStmt_::k_op) <= t::SetOperation::kSETOP_NONE &&
                 !select.Child(t::SelectStmt_::k_into_clause) && !select.Child(t::SelectStmt_::k_with_clause);
    if (!plain) return;
    pg_settings_name_ = FilteredSettingName(select);
    for (TreeNode target : select.Children(t::SelectStmt_::k_target_list)) {
      TreeNode value = target.Child(t::ResTarget_::k_val);
      if (value.Is(t::Type::FuncCall)) top_level_calls_.push_back(value.Number(t::FuncCall_::k_location));
    }
  }

  bool VisitAny(TreeNode node) {
    switch (node.type()) {
      case t::Type::FuncCall:
        VisitFunction(node);
        return true;
      case t::Type::ParamRef:
        out_.max_parameter =
            std::max(out_.max_parameter, static_cast<std::int32_t>(node.Number(t::ParamRef_::k_number)));
        return false;
      case t::Type::IntoClause:
        VisitNewRelation(node.Child(t::IntoClause_::k_rel), kCreatesUnloggedTable);
        return true;
      case t::Type::CreateStmt:
        VisitNewRelation(node.Child(t::CreateStmt_::k_relation), kCreatesUnloggedTable);
        return true;
      case t::Type::ViewStmt:
        VisitNewRelation(node.Child(t::ViewStmt_::k_view), 0);
        return true;
      case t::Type::CreateSeqStmt:
        VisitNewRelation(node.Child(t::CreateSeqStmt_::k_sequence), kCreatesUnloggedSequence);
        return true;
      case t::Type::CompositeTypeStmt:
        VisitNewRelation(node.Child(t::CompositeTypeStmt_::k_typevar), 0);
        return true;
      case t::Type::ExecuteStmt:
        VisitExecute(node);
        return true;
      case t::Type::VariableSetStmt:
        VisitAssignment(node);
        return true;
      case t::Type::PrepareStmt:
        // Its body has facts of its own.
        return false;
      default:
        return true;
    }
  }

  void VisitNewRelation(TreeNode relation, std::uint32_t unlogged_effect) {
    std::string_view persistence = relation.Text(t::RangeVar_::k_relpersistence);
    if (persistence == "t") {
      if (!explain_ || effects_count_) out_.effects |= kCreatesTemp;
    } else if (relation.Text(t::RangeVar_::k_schemaname).starts_with("pg_temp")) {
      out_.hazards.push_back({HazardKind::kCreateInPgTemp, ""});
    } else if (persistence == "u") {
      out_.effects |= unlogged_effect;
    }
  }

  void VisitExecute(TreeNode node) {
    out_.executes = node.Text(t::ExecuteStmt_::k_name);
    auto range = FindExecutedName(Tokens(), out_.executes);
    out_.executes_begin = out_.begin + range.first;
    out_.executes_end = out_.begin + range.second;
  }

  void VisitAssignment(TreeNode node) {
    std::string name = FoldSettingName(node.Text(t::VariableSetStmt_::k_name));
    std::int64_t kind = node.Number(t::VariableSetStmt_::k_kind);
    if (kind == t::VariableSetKind::kVAR_SET_CURRENT) {
      out_.hazards.push_back({HazardKind::kSetFromCurrent, name});
    } else if (kind == t::VariableSetKind::kVAR_SET_VALUE) {
      std::string value = FlattenSetArguments(name, node.Children(t::VariableSetStmt_::k_args));
      AddAssignmentHazards(name, &value, out_.hazards);
    }
  }

  void VisitFunction(TreeNode call) {
    auto names = call.Children(t::FuncCall_::k_funcname);
    if (names.empty() || names.size() > 2) return;
    std::string_view schema = names.size() == 2 ? names[0].Text(t::String_::k_sval) : std::string_view();
    std::string_view name = names.back().Text(t::String_::k_sval);
    switch (ClassifyFunction(schema, name)) {
      case FunctionClass::kOrdinary:
        return;
      case FunctionClass::kForbidden:
        out_.hazards.push_back({HazardKind::kFunction, std::string(name)});
        return;
      case FunctionClass::kAdvisoryLock:
        out_.effects |= kTakesAdvisoryLock;
        return;
      case FunctionClass::kAdvisoryUnlock:
        out_.effects |= kReleasesAdvisoryLock;
        return;
      case FunctionClass::kSetSeed:
        out_.effects |= kSetsSeed;
        return;
      case FunctionClass::kLogicalSlot:
        out_.effects |= kCreatesLogicalSlot;
        return VisitSlot(call, name);
      case FunctionClass::kPhysicalSlot:
        return VisitSlot(call, name);
      case FunctionClass::kSetConfig:
        return VisitSetConfig(call);
      case FunctionClass::kCurrentSetting:
        return VisitCurrentSetting(call);
    }
  }

  void VisitSlot(TreeNode call, std::string_view name) {
    auto arguments = call.Children(t::FuncCall_::k_args);
    bool temporary = false;
    for (std::size_t i = 0; i < arguments.size(); i++) {
      bool named = arguments[i].Is(t::Type::NamedArgExpr);
      bool is_it = named ? arguments[i].Text(t::NamedArgExpr_::k_name) == "temporary" : i == 2;
      TreeNode value = named ? arguments[i].Child(t::NamedArgExpr_::k_arg) : arguments[i];
      if (is_it) temporary = AsBoolean(LiteralOf(value)).form == Literal::Form::kTrue;
    }
    if (!temporary) out_.hazards.push_back({HazardKind::kPermanentSlot, std::string(name)});
  }

  void VisitCurrentSetting(TreeNode call) {
    auto arguments = call.Children(t::FuncCall_::k_args);
    if (arguments.empty()) return;
    std::string name = FoldSettingName(LiteralOf(arguments[0]).text);
    if (IsGatewayVariable(name)) out_.hazards.push_back({HazardKind::kGatewayVariable, name});
  }

  void VisitSetConfig(TreeNode call) {
    auto arguments = call.Children(t::FuncCall_::k_args);
    if (arguments.size() != 3) return;  // PostgreSQL will say so
    out_.has_set_config = true;
    bool top_level =
        std::ranges::find(top_level_calls_, call.Number(t::FuncCall_::k_location)) != top_level_calls_.end();
    Literal name = LiteralOf(arguments[0]);
    Literal value = LiteralOf(arguments[1]);
    Literal flag = AsBoolean(LiteralOf(arguments[2]));
    auto reject = [this](const Literal& literal, std::string_view argument) {
      bool bound = literal.form == Literal::Form::kParameter;
      out_.hazards.push_back(
          {bound ? HazardKind::kSetConfigBound : HazardKind::kSetConfigArgument, std::string(argument)});
    };
    if (!top_level && (flag.form != Literal::Form::kTrue || name.form != Literal::Form::kText)) {
      out_.hazards.push_back({HazardKind::kSetConfigPlace, ""});
      return;
    }
    bool from_pg_settings = top_level && pg_settings_name_ && IsColumn(arguments[0], "name");
    if (from_pg_settings) name = {Literal::Form::kText, *pg_settings_name_, 0};
    if (name.form != Literal::Form::kText) return reject(name, "name");
    bool known_value = value.form == Literal::Form::kText || value.form == Literal::Form::kNull;
    std::string setting = FoldSettingName(name.text);
    if (IsGatewayVariable(setting)) {
      out_.hazards.push_back({HazardKind::kGatewayVariable, setting});
      return;
    }
    if (value.form != Literal::Form::kNull) AddAssignmentHazards(setting, &value.text, out_.hazards);
    if (flag.form == Literal::Form::kTrue) {
      if (setting == "search_path" && !known_value) reject(value, "value");
      return;
    }
    if (flag.form != Literal::Form::kFalse) return reject(flag, "is_local");
    if (!known_value) return reject(value, "value");
    SetConfigCall record;
    record.name = std::move(setting);
    record.from_pg_settings = from_pg_settings;
    if (value.form == Literal::Form::kText) record.value = std::move(value.text);
    record.flag_begin = origin_ + static_cast<std::size_t>(std::max<std::int64_t>(flag.location, 0));
    record.flag_end = TokenEndAt({source_, standard_strings_}, record.flag_begin);
    out_.set_config.push_back(std::move(record));
  }

  TokenSource Tokens() const { return {out_.Text(source_), standard_strings_}; }

  std::string_view source_;
  std::size_t origin_;
  bool standard_strings_;
  Statement& out_;
  bool effects_count_ = false;  // the functions that it calls are called now
  bool explain_ = false;
  std::vector<std::int64_t> top_level_calls_;
  std::optional<std::string> pg_settings_name_;
};

}  // namespace

void ClassifyTree(TreeNode root, std::string_view source, std::size_t origin, bool standard_conforming_strings,
                  Statement& statement) {
  TreeClassifier(source, origin, standard_conforming_strings, statement).Classify(root);
}

}  // namespace multigres::sqlparse
