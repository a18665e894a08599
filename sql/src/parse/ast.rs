//! The syntax tree: exactly what the binder understands, nothing that it would have to ignore.
//!
//! Every `at` is the place of the construct's first character (parentheses around it not counted) in the query string,
//! in characters from 1, as error messages report it. Names are folded to lower case unless they were quoted.

mod access;
mod assignment;
mod backup;
mod database;
mod drift;
mod explain;
mod fetch;
mod function;
mod group;
mod index;
mod join;
mod locking;
mod maintain;
mod merge;
mod notify;
mod object;
mod past;
mod policy;
mod role;
mod sample;
mod sequence;
mod show;
mod table;
mod target;
mod transaction;
mod window;
mod with;

pub use self::backup::{BackupCommand, BackupOf, BackupStatement};
pub use self::{notify::Notifying, sample::Sample};
pub use access::{
    AccessStatement, DefaultPrivileges, Grant, GrantObjects, GrantRoles, NamedRight, Password, RoleOption,
    RoleStatement,
};
pub use assignment::{Assignment, AssignmentTarget, TargetPart};
pub use database::{DatabaseOption, DatabaseStatement, DefaultsStatement, SettingChange};
pub use drift::{Dialect, DriftMoment, DriftStatement, DriftValue};
pub use explain::{ExplainOption, OptionValue};
pub use fetch::{CursorOptions, Declare, Fetch, Motion};
pub use function::{
    CreateFunction, FunctionAction, FunctionName, FunctionOptions, FunctionText, ParameterDefinition,
};
pub use group::{GroupBy, GroupItem};
pub use index::{CreateIndex, IndexColumn, IndexPart, Reindex, Reindexed};
pub use join::{JoinCondition, JoinKind};
pub use locking::{LockStrength, LockWait, Locking, TableLock};
pub use maintain::{Maintain, MaintainedTable};
pub use merge::{Merge, MergeAction, MergeWhen};
pub use object::{
    AlterDomain, AttributeAction, AttributeDefinition, CommentTarget, CreateDomain, CreateRange,
    CreateTableAs, CreateView, DomainAction, ObjectStatement, Overriding, Persistence, RangeAttribute,
    Truncate, TypeStatement, ViewOption,
};
pub use past::{EraseHistory, ErasedRows, HistoryOf, HistoryStatement, SystemPeriod, SystemTime};
pub use policy::{PolicyAction, PolicyConditions, PolicyStatement, RowSecurityChange};
pub use role::RoleReference;
pub use sequence::{IdentityAction, IdentityDefinition, SequenceOption, SequenceOptionKind};
pub use show::ShowObjects;
pub use table::{
    AlterAction, AlterTable, CheckDefinition, ForeignKeyDefinition, KeyDefinition, TableConstraints,
};
pub use target::{ObjectKind, ObjectName};
pub use transaction::{AccessMode, Isolation, TransactionModes};
pub use window::{Exclude, Frame, FrameBound, FrameMode, NamedWindow, Over, Window};
pub use with::{CommonTable, Cycle, Search};

/// A statement of a query string.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it says.
    pub body: Body,
    /// Its own text.
    pub text: std::sync::Arc<str>,
}

/// A name and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Folded.
    pub value: String,
    /// Where.
    pub at: usize,
}

/// A name that a schema (and the database) may qualify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualifiedName {
    /// The schema.
    pub schema: Option<Name>,
    /// The last part.
    pub name: Name,
}

/// The name of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// Its schema, if named.
    pub schema: Option<String>,
    /// SQL's or `pg_type`'s name in lower case, as `TypeKind::from_name` takes it.
    pub name: String,
    /// What stands between parentheses.
    pub modifiers: Vec<i64>,
    /// Whether `[]` follows.
    pub array: bool,
    /// Where.
    pub at: usize,
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum Body {
    /// SELECT, VALUES, TABLE, set operations.
    Query(Box<Query>),
    /// INSERT
    Insert(Box<Insert>),
    /// UPDATE
    Update(Box<Update>),
    /// DELETE
    Delete(Box<Delete>),
    /// MERGE
    Merge(Box<Merge>),
    /// COPY
    Copy(Box<Copy>),
    /// CREATE TABLE
    CreateTable(Box<CreateTable>),
    /// CREATE TABLE … AS
    CreateTableAs(Box<CreateTableAs>),
    /// TRUNCATE
    Truncate(Truncate),
    /// Schemas and sequences, and what tables have in common with them.
    Object(Box<ObjectStatement>),
    /// CREATE INDEX
    CreateIndex(Box<CreateIndex>),
    /// REINDEX
    Reindex(Reindex),
    /// ALTER TABLE, ALTER INDEX
    AlterTable(Box<AlterTable>),
    /// EXPLAIN
    Explain {
        /// The statement explained.
        body: Box<Body>,
        /// How.
        options: Vec<ExplainOption>,
    },
    /// BEGIN, START TRANSACTION: the words are its tag.
    Begin(TransactionModes, Option<Box<Expr>>, &'static str),
    /// COMMIT, END
    Commit {
        /// AND CHAIN
        chain: bool,
    },
    /// ROLLBACK, ABORT
    Rollback {
        /// AND CHAIN
        chain: bool,
    },
    /// SAVEPOINT
    Savepoint(String),
    /// RELEASE
    Release(String),
    /// ROLLBACK TO
    RollbackTo(String),
    /// Roles and rights: CREATE ROLE, GRANT and the like.
    Access(Box<AccessStatement>),
    /// SET ROLE; NONE is `None`.
    SetRole {
        /// The role.
        role: Option<String>,
        /// SET LOCAL
        local: bool,
    },
    /// SET SESSION AUTHORIZATION; DEFAULT is `None`.
    SetSessionAuthorization {
        /// The role.
        role: Option<String>,
        /// SET LOCAL
        local: bool,
    },
    /// SET CONSTRAINTS; ALL is `None`.
    SetConstraints {
        /// Which.
        names: Option<Vec<QualifiedName>>,
        /// DEFERRED rather than IMMEDIATE.
        deferred: bool,
    },
    /// SET TRANSACTION
    SetTransaction(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION
    SetSessionCharacteristics(TransactionModes),
    /// SET
    Set {
        /// The setting, in lower case.
        name: String,
        /// Its value.
        value: SettingValue,
        /// SET LOCAL
        local: bool,
    },
    /// RESET; ALL is `None`.
    Reset(Option<String>),
    /// SHOW
    Show(String),
    /// SHOW ALL
    ShowAll,
    /// SHOW NODES
    ShowNodes,
    /// SHOW RANGES; FROM TABLE.
    ShowRanges(Option<QualifiedName>),
    /// SHOW TABLES and the like.
    ShowObjects(Box<ShowObjects>),
    /// BACKUP, RESTORE, SHOW BACKUPS
    Backup(Box<BackupStatement>),
    /// What is said of history, and asked.
    History(Box<HistoryStatement>),
    /// DriftQL's own.
    Drift(Box<DriftStatement>),
    /// ALTER TABLE … SPLIT AT VALUES
    SplitAt {
        /// The table.
        table: QualifiedName,
        /// The first columns of primary keys.
        rows: Vec<Vec<Expr>>,
    },
    /// PREPARE
    Prepare {
        /// Its name.
        name: String,
        /// Declared types.
        types: Vec<TypeName>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// EXECUTE
    Execute {
        /// The prepared statement.
        name: String,
        /// Its arguments.
        arguments: Vec<Expr>,
    },
    /// DEALLOCATE; ALL is `None`.
    Deallocate(Option<String>),
    /// DECLARE … CURSOR
    Declare(Box<Declare>),
    /// FETCH, MOVE
    Fetch(Fetch),
    /// CLOSE name; CLOSE ALL is `None`.
    Close(Option<String>),
    /// LISTEN, NOTIFY, UNLISTEN
    Notifying(Notifying),
    /// DISCARD
    Discard(Discard),
    /// VACUUM, ANALYZE
    Maintain(Maintain),
    /// CHECKPOINT
    Checkpoint,
    /// LOCK TABLE
    LockTable {
        /// The tables.
        tables: Vec<QualifiedName>,
        /// How they are locked.
        mode: TableLock,
    },
}

/// A query: what may stand between parentheses.
#[derive(Debug, Clone)]
pub struct Query {
    /// WITH
    pub with: Vec<CommonTable>,
    /// SELECT, VALUES or a set operation.
    pub body: QueryBody,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// LIMIT
    pub limit: Option<Expr>,
    /// WITH TIES: rows as well that are alike in order to the last of them.
    pub ties: bool,
    /// OFFSET
    pub offset: Option<Expr>,
    /// FOR UPDATE, FOR SHARE
    pub locks: Vec<Locking>,
    /// Where it begins.
    pub at: usize,
}

/// What a query combines.
#[derive(Debug, Clone)]
pub enum QueryBody {
    /// SELECT
    Select(Box<Select>),
    /// VALUES
    Values(Vec<Vec<Expr>>),
    /// A query between parentheses.
    Query(Box<Query>),
    /// INSERT, UPDATE, DELETE, as a query of WITH.
    Modify(Box<Body>),
    /// UNION, INTERSECT, EXCEPT: operations that bind equally, from the left.
    SetOperation {
        /// The first input.
        first: Box<QueryBody>,
        /// The others, at least one.
        rest: Vec<SetBranch>,
    },
}

/// An operation on sets and its right input.
#[derive(Debug, Clone)]
pub struct SetBranch {
    /// Which.
    pub kind: SetOperationKind,
    /// ALL
    pub all: bool,
    /// The right input.
    pub body: QueryBody,
}

/// Operations on sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperationKind {
    /// In either.
    Union,
    /// In both.
    Intersect,
    /// In the left only.
    Except,
}

impl SetOperationKind {
    /// Its keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Union => "UNION",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}

/// SELECT
#[derive(Debug, Clone)]
pub struct Select {
    /// DISTINCT
    pub distinct: Distinct,
    /// The select list.
    pub items: Vec<SelectItem>,
    /// FROM
    pub from: Vec<TableExpr>,
    /// AS OF SYSTEM TIME
    pub as_of: Option<Expr>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY
    pub group_by: Option<GroupBy>,
    /// HAVING
    pub having: Option<Expr>,
    /// WINDOW
    pub windows: Vec<NamedWindow>,
}

/// DISTINCT
#[derive(Debug, Clone)]
pub enum Distinct {
    /// Not given, or ALL.
    No,
    /// DISTINCT
    All,
    /// DISTINCT ON
    On(Vec<Expr>),
}

/// One item of a select list or of RETURNING.
#[derive(Debug, Clone)]
pub enum SelectItem {
    /// An expression.
    Expr {
        /// The expression.
        expr: Expr,
        /// AS
        alias: Option<Name>,
    },
    /// `*`
    Wildcard {
        /// Where.
        at: usize,
    },
    /// `t.*`
    TableWildcard(QualifiedName),
}

/// An item of FROM.
#[derive(Debug, Clone)]
pub enum TableExpr {
    /// A table, a view, a query of WITH.
    Table {
        /// Its name.
        name: QualifiedName,
        /// FOR SYSTEM_TIME
        system_time: Option<Box<SystemTime>>,
        /// AS
        alias: Option<Alias>,
        /// TABLESAMPLE
        sample: Option<Box<Sample>>,
    },
    /// A query.
    Subquery {
        /// The query.
        query: Box<Query>,
        /// AS
        alias: Option<Alias>,
        /// LATERAL
        lateral: bool,
        /// Where.
        at: usize,
    },
    /// Functions, row by row beside each other.
    Function {
        /// The calls.
        calls: Vec<TableCall>,
        /// WITH ORDINALITY
        ordinality: bool,
        /// AS
        alias: Option<Alias>,
        /// Where.
        at: usize,
    },
    /// A join.
    Join {
        /// Left input.
        left: Box<TableExpr>,
        /// Right input.
        right: Box<TableExpr>,
        /// Which pairs.
        kind: JoinKind,
        /// ON, USING, NATURAL.
        condition: JoinCondition,
        /// Where the right input begins.
        at: usize,
    },
}

/// A function in FROM.
#[derive(Debug, Clone)]
pub struct TableCall {
    /// The call.
    pub call: Function,
    /// `AS (a integer, b text)`: the columns of a record.
    pub definition: Option<Vec<(Name, TypeName)>>,
    /// Where.
    pub at: usize,
}

impl TableExpr {
    /// Where it begins.
    pub fn at(&self) -> usize {
        match self {
            Self::Table { name, .. } => name.schema.as_ref().unwrap_or(&name.name).at,
            Self::Subquery { at, .. } | Self::Function { at, .. } | Self::Join { at, .. } => *at,
        }
    }
}

/// AS in FROM.
#[derive(Debug, Clone)]
pub struct Alias {
    /// The table's name.
    pub name: Name,
    /// Names for its columns, from the left.
    pub columns: Vec<Name>,
}

/// One item of ORDER BY.
#[derive(Debug, Clone)]
pub struct OrderBy {
    /// The expression, a column's number or its name in the result.
    pub expr: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST, NULLS LAST
    pub nulls_first: Option<bool>,
}

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub at: usize,
}

/// An operator in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: std::borrow::Cow<'static, str>,
    /// Where.
    pub at: usize,
}

/// What stands in a pair of brackets behind an expression.
#[derive(Debug, Clone)]
pub enum Subscript {
    /// `[i]`
    Index(Expr),
    /// `[i:j]`
    Slice(Option<Expr>, Option<Expr>),
}

/// Kinds of expressions.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// `a`, `t.a`, `s.t.a`
    Column(Vec<Name>),
    /// `t.*` as a value, or as the argument of a function.
    TableWildcard(Box<QualifiedName>),
    /// `$n`, from 1.
    Parameter(usize),
    /// A number as written, with its sign if one stood right before it.
    Number(Box<str>),
    /// A string without its quotes.
    String(String),
    /// `B'101'` or `X'1F'` without the quotes.
    Bits(String),
    /// TRUE, FALSE
    Bool(bool),
    /// NULL
    Null,
    /// DEFAULT, in VALUES of INSERT and in SET.
    Default,
    /// `CAST(x AS t)`, `x::t`, `t 'x'`
    Cast {
        /// Where `CAST` or `::` stands.
        operator_at: usize,
        /// x
        operand: Box<Expr>,
        /// t
        ty: Box<TypeName>,
    },
    /// A prefix operator.
    Unary {
        /// Which.
        operator: Operator,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// An infix operator.
    Binary {
        /// Which.
        operator: Operator,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `x AND y AND …`: at least two.
    And(Vec<Expr>),
    /// `x OR y OR …`: at least two.
    Or(Vec<Expr>),
    /// `NOT x`
    Not(Box<Expr>),
    /// `x IS NULL`
    IsNull {
        /// x
        operand: Box<Expr>,
        /// IS NOT NULL
        negated: bool,
    },
    /// `x IS TRUE`, `IS FALSE`, `IS UNKNOWN`
    IsBool {
        /// x
        operand: Box<Expr>,
        /// Which; `None` is UNKNOWN.
        value: Option<bool>,
        /// IS NOT
        negated: bool,
    },
    /// `x IS DISTINCT FROM y`
    IsDistinct {
        /// Where IS stands.
        operator_at: usize,
        /// x
        left: Box<Expr>,
        /// y
        right: Box<Expr>,
        /// IS NOT DISTINCT FROM
        negated: bool,
    },
    /// `x IN (a, b)`
    InList {
        /// Where IN stands.
        operator_at: usize,
        /// x
        operand: Box<Expr>,
        /// a, b
        list: Vec<Expr>,
        /// NOT IN
        negated: bool,
    },
    /// `x op ANY (q)`, `x op ALL (q)`; `x IN (q)` is `= ANY`.
    QuantifiedQuery {
        /// x
        left: Box<Expr>,
        /// op
        operator: Operator,
        /// q
        query: Box<Query>,
        /// ALL rather than ANY
        all: bool,
        /// Whether it was written as IN, and negated.
        negated: bool,
    },
    /// `x op ANY (array)`, `x op ALL (array)`
    QuantifiedArray {
        /// x
        left: Box<Expr>,
        /// op
        operator: Operator,
        /// array
        right: Box<Expr>,
        /// ALL rather than ANY
        all: bool,
    },
    /// `x BETWEEN a AND b`
    Between {
        /// Where BETWEEN stands, or NOT.
        operator_at: usize,
        /// x
        operand: Box<Expr>,
        /// a
        low: Box<Expr>,
        /// b
        high: Box<Expr>,
        /// SYMMETRIC: the bounds in either order.
        symmetric: bool,
        /// NOT BETWEEN
        negated: bool,
    },
    /// `x LIKE p ESCAPE e`, and ILIKE and SIMILAR TO
    Like {
        /// Where the word stands.
        operator_at: usize,
        /// x
        operand: Box<Expr>,
        /// p
        pattern: Box<Expr>,
        /// e
        escape: Option<Box<Expr>>,
        /// Which of them.
        form: PatternForm,
        /// NOT LIKE
        negated: bool,
    },
    /// CASE
    Case {
        /// CASE x WHEN …
        operand: Option<Box<Expr>>,
        /// WHEN … THEN …
        branches: Vec<(Expr, Expr)>,
        /// ELSE
        otherwise: Option<Box<Expr>>,
    },
    /// A function or aggregate, or one of the SQL standard's that look otherwise (EXTRACT, COALESCE,
    /// CURRENT_TIMESTAMP).
    Function(Box<Function>),
    /// `EXISTS (q)`
    Exists(Box<Query>),
    /// `(q)`
    Subquery(Box<Query>),
    /// `ARRAY (q)`
    ArrayQuery(Box<Query>),
    /// A column of the row that a query answers, of `SET (a, b) = (q)` or `(x, y) = (q)`.
    RowQuery {
        /// q
        query: std::sync::Arc<Query>,
        /// Which column, from 0.
        place: usize,
        /// How many there have to be.
        count: usize,
        /// It is compared with a row, not assigned to columns.
        compared: bool,
    },
    /// `ARRAY[a, b]`
    Array(Vec<Expr>),
    /// `x[i]`, `x[i][j]`, `x[i:j]`
    Subscript {
        /// x
        array: Box<Expr>,
        /// What stands in each pair of brackets.
        subscripts: Vec<Subscript>,
    },
    /// `(a, b)`, `ROW(a, b)`
    Row(Vec<Expr>),
    /// `(x).f`
    Field {
        /// x
        operand: Box<Expr>,
        /// f
        name: Name,
    },
    /// `(x).*`
    AllFields(Box<Expr>),
    /// `x COLLATE c`
    Collate {
        /// Where the word stands.
        operator_at: usize,
        /// x
        operand: Box<Expr>,
        /// c
        collation: Box<QualifiedName>,
    },
}

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternForm {
    /// LIKE
    Like,
    /// ILIKE
    Insensitive,
    /// SIMILAR TO
    Similar,
}

/// A function call.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: QualifiedName,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// The names of the last of them: `f(1, b => 2)`.
    pub named: Vec<Name>,
    /// VARIADIC, where it stands: the last argument holds the last ones.
    pub variadic: Option<usize>,
    /// `f(*)`
    pub star: bool,
    /// `f(DISTINCT x)`
    pub distinct: bool,
    /// `f(x ORDER BY y)`, `f(x) WITHIN GROUP (ORDER BY y)`
    pub order_by: Vec<OrderBy>,
    /// WITHIN GROUP, where it stands.
    pub within_group: Option<usize>,
    /// FILTER (WHERE …)
    pub filter: Option<Box<Expr>>,
    /// OVER
    pub over: Option<Box<Over>>,
    /// What a result column is called after it: usually the last part of its name.
    pub label: Option<&'static str>,
    /// Written in words of the SQL standard (CURRENT_DATE, EXTRACT, AT TIME ZONE) rather than as a call.
    pub in_words: bool,
}

/// INSERT
#[derive(Debug, Clone)]
pub struct Insert {
    /// WITH
    pub with: Vec<CommonTable>,
    /// The table.
    pub table: QualifiedName,
    /// AS
    pub alias: Option<Name>,
    /// The columns given, if they are named.
    pub columns: Option<Vec<AssignmentTarget>>,
    /// OVERRIDING
    pub overriding: Option<Overriding>,
    /// The rows; `None` is DEFAULT VALUES.
    pub source: Option<Query>,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING
    pub returning: Option<Vec<SelectItem>>,
}

/// ON CONFLICT
#[derive(Debug, Clone)]
pub struct OnConflict {
    /// Which conflicts are meant.
    pub target: ConflictTarget,
    /// DO UPDATE; `None` is DO NOTHING.
    pub update: Option<ConflictUpdate>,
    /// Where; of a key, its parenthesis.
    pub at: usize,
}

/// Which conflicts are meant.
#[derive(Debug, Clone)]
pub enum ConflictTarget {
    /// Any.
    Any,
    /// Those of the unique indexes over exactly these columns and expressions.
    Key {
        /// What of.
        parts: Vec<IndexColumn>,
        /// WHERE: partial indexes that have all rows of which it is true are meant too.
        filter: Option<Expr>,
    },
    /// ON CONSTRAINT
    Constraint(Name),
}

/// DO UPDATE
#[derive(Debug, Clone)]
pub struct ConflictUpdate {
    /// SET
    pub assignments: Vec<Assignment>,
    /// WHERE
    pub filter: Option<Expr>,
}

/// UPDATE
#[derive(Debug, Clone)]
pub struct Update {
    /// WITH
    pub with: Vec<CommonTable>,
    /// The table.
    pub table: QualifiedName,
    /// AS
    pub alias: Option<Name>,
    /// SET
    pub assignments: Vec<Assignment>,
    /// FROM
    pub from: Vec<TableExpr>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<Name>,
    /// RETURNING
    pub returning: Option<Vec<SelectItem>>,
}

/// DELETE
#[derive(Debug, Clone)]
pub struct Delete {
    /// WITH
    pub with: Vec<CommonTable>,
    /// The table.
    pub table: QualifiedName,
    /// AS
    pub alias: Option<Name>,
    /// USING
    pub using: Vec<TableExpr>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<Name>,
    /// RETURNING
    pub returning: Option<Vec<SelectItem>>,
}

/// COPY
#[derive(Debug, Clone)]
pub enum Copy {
    /// COPY t FROM STDIN
    From {
        /// The table.
        table: QualifiedName,
        /// Its columns, if named.
        columns: Option<Vec<Name>>,
        /// The data's form.
        options: CopyOptions,
    },
    /// COPY t TO STDOUT
    TableTo {
        /// The table.
        table: QualifiedName,
        /// Its columns, if named.
        columns: Option<Vec<Name>>,
        /// The data's form.
        options: CopyOptions,
    },
    /// COPY (q) TO STDOUT
    QueryTo {
        /// The query; or INSERT, UPDATE, DELETE with RETURNING.
        query: Box<Query>,
        /// The data's form.
        options: CopyOptions,
    },
}

/// The form of COPY's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// Text, CSV or binary.
    pub format: CopyFormat,
    /// DELIMITER, one byte: a tab for text, a comma for CSV.
    pub delimiter: u8,
    /// NULL: `\N` for text, nothing for CSV.
    pub null: String,
    /// HEADER: the first line names the columns.
    pub header: bool,
    /// HEADER MATCH: and they have to be the right names.
    pub header_match: bool,
    /// QUOTE of CSV, one byte.
    pub quote: u8,
    /// ESCAPE of CSV, one byte: the quote unless given.
    pub escape: u8,
    /// ENCODING; `None`: the client's.
    pub encoding: Option<expr::encoding::Encoding>,
    /// FORCE_QUOTE of CSV: the columns whose values are quoted, whatever they are.
    pub force_quote: CopyColumns,
    /// FORCE_NOT_NULL of CSV: the columns for whose values the NULL string is no NULL.
    pub force_not_null: CopyColumns,
    /// FORCE_NULL of CSV: the columns for whose values it is one, quoted, too.
    pub force_null: CopyColumns,
}

/// Columns that an option of COPY is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CopyColumns {
    /// None of them.
    #[default]
    None,
    /// `*`
    All,
    /// These.
    These(Vec<Name>),
}

/// Formats of COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text format.
    Text,
    /// Comma separated values.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// CREATE TABLE
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Its name.
    pub name: QualifiedName,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Its columns.
    pub columns: Vec<ColumnDefinition>,
    /// The tables that it is to be like.
    pub likes: Vec<TableLike>,
    /// Its constraints, those of columns first.
    pub constraints: TableConstraints,
    /// WITH (audit)
    pub audit: audit::Classes,
    /// TEMPORARY
    pub persistence: Persistence,
    /// ON COMMIT
    pub on_commit: Option<crate::catalog::OnCommit>,
}

/// LIKE in CREATE TABLE.
#[derive(Debug, Clone)]
pub struct TableLike {
    /// Like which.
    pub table: QualifiedName,
    /// How many columns are written before it.
    pub before: usize,
    /// What is taken along.
    pub parts: LikeParts,
}

/// What LIKE takes along beside the columns, their types and NOT NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LikeParts {
    /// COMMENTS
    pub comments: bool,
    /// CONSTRAINTS
    pub constraints: bool,
    /// DEFAULTS
    pub defaults: bool,
    /// GENERATED
    pub generated: bool,
    /// IDENTITY
    pub identity: bool,
    /// INDEXES
    pub indexes: bool,
}

/// A column of CREATE TABLE.
#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: TypeName,
    /// NOT NULL
    pub not_null: bool,
    /// NULL
    pub nullable: bool,
    /// Where it is said that it may not be NULL though it may, or the other way round.
    pub conflict_at: Option<usize>,
    /// Where its COLLATE stands.
    pub collated_at: Option<usize>,
    /// DEFAULT
    pub default: Option<DefaultDefinition>,
    /// GENERATED … AS IDENTITY: one at most makes sense.
    pub identities: Vec<IdentityDefinition>,
    /// GENERATED … AS (…) STORED: one at most makes sense.
    pub generations: Vec<GenerationDefinition>,
}

/// GENERATED ALWAYS AS (…) STORED
#[derive(Debug, Clone)]
pub struct GenerationDefinition {
    /// The expression.
    pub expression: DefaultDefinition,
    /// Where.
    pub at: usize,
}

/// DEFAULT of a column.
#[derive(Debug, Clone)]
pub struct DefaultDefinition {
    /// The expression.
    pub expr: Expr,
    /// Its text.
    pub text: String,
}

/// The value of SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// TO DEFAULT
    Default,
    /// The values as written, without quotes; most settings take exactly one. A list (`search_path`) has several.
    Values(Vec<String>),
}

/// What DISCARD throws away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// ALL: everything of the session.
    All,
    /// PLANS
    Plans,
    /// SEQUENCES
    Sequences,
    /// TEMP
    Temp,
}
