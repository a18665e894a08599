//! Statements about schemas and sequences, and what tables have in common with them.

use super::function::{CreateFunction, FunctionAction, FunctionName};
use super::policy::PolicyStatement;
use super::sequence::SequenceOption;
use super::target::{ObjectKind, ObjectName};
use super::{CheckDefinition, DefaultDefinition, Name, QualifiedName, Query, RoleReference, TypeName};
use crate::catalog::{CheckOption, OnCommit};

/// A statement about an object of the catalog.
#[derive(Debug, Clone)]
pub enum ObjectStatement {
    /// CREATE SEQUENCE
    CreateSequence {
        /// Its name.
        name: QualifiedName,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// What is said of it, in order.
        options: Vec<SequenceOption>,
        /// TEMPORARY
        persistence: Persistence,
    },
    /// ALTER SEQUENCE
    AlterSequence {
        /// Which.
        name: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// What changes, in order.
        options: Vec<SequenceOption>,
    },
    /// CREATE SCHEMA
    CreateSchema {
        /// Its name; `None`: that of its owner.
        name: Option<Name>,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// AUTHORIZATION
        owner: Option<RoleReference>,
    },
    /// CREATE VIEW
    CreateView(Box<CreateView>),
    /// ALTER VIEW … RENAME COLUMN
    RenameViewColumn {
        /// Which view.
        object: ObjectName,
        /// Which column.
        from: Name,
        /// Its new name.
        to: Name,
    },
    /// ALTER VIEW … SET and RESET of options
    SetViewOptions {
        /// Which view.
        object: ObjectName,
        /// What they are then.
        options: Vec<ViewOption>,
    },
    /// ALTER VIEW … ALTER COLUMN … SET DEFAULT, DROP DEFAULT
    SetViewDefault {
        /// Which view.
        object: ObjectName,
        /// Which column.
        column: Name,
        /// To what.
        default: Option<DefaultDefinition>,
    },
    /// CREATE EXTENSION
    CreateExtension {
        /// Its name.
        name: Name,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// SCHEMA
        schema: Option<Name>,
    },
    /// CREATE FUNCTION
    CreateFunction(Box<CreateFunction>),
    /// ALTER FUNCTION
    AlterFunction {
        /// Which.
        function: FunctionName,
        /// What becomes of it.
        action: FunctionAction,
    },
    /// DROP FUNCTION
    DropFunctions {
        /// Which.
        names: Vec<FunctionName>,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// CREATE POLICY, ALTER POLICY, DROP POLICY
    Policy(Box<PolicyStatement>),
    /// CREATE TYPE, ALTER TYPE
    Type(TypeStatement),
    /// ALTER … RENAME TO
    Rename {
        /// What.
        object: ObjectName,
        /// The new name.
        to: Name,
    },
    /// COMMENT ON
    Comment {
        /// What.
        on: CommentTarget,
        /// The comment; NULL is `None`.
        text: Option<String>,
    },
    /// ALTER … SET SCHEMA
    SetSchema {
        /// What.
        object: ObjectName,
        /// Where to.
        schema: Name,
    },
    /// REFRESH MATERIALIZED VIEW
    Refresh {
        /// Which.
        name: QualifiedName,
        /// CONCURRENTLY
        concurrently: bool,
        /// WITH NO DATA is false.
        with_data: bool,
    },
    /// DROP
    Drop {
        /// What kind of objects.
        kind: ObjectKind,
        /// Which.
        names: Vec<QualifiedName>,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
        /// CONCURRENTLY, of indexes
        concurrently: bool,
    },
}

/// A statement about a type.
#[derive(Debug, Clone)]
pub enum TypeStatement {
    /// CREATE TYPE … AS ENUM
    CreateEnum {
        /// Its name.
        name: QualifiedName,
        /// Its labels, in order.
        labels: Vec<String>,
    },
    /// CREATE TYPE … AS (…)
    CreateComposite {
        /// Its name.
        name: QualifiedName,
        /// Its attributes, in order.
        attributes: Vec<AttributeDefinition>,
    },
    /// CREATE TYPE … AS RANGE
    CreateRange(Box<CreateRange>),
    /// ALTER TYPE … ADD, DROP, ALTER or RENAME ATTRIBUTE
    AlterAttributes {
        /// Which composite type.
        name: QualifiedName,
        /// What becomes of them.
        actions: Vec<AttributeAction>,
    },
    /// ALTER TYPE … ADD VALUE
    AddLabel {
        /// Which enum.
        name: QualifiedName,
        /// The label.
        label: String,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// BEFORE (true) or AFTER another.
        beside: Option<(bool, String)>,
    },
    /// ALTER TYPE … RENAME VALUE
    RenameLabel {
        /// Which enum.
        name: QualifiedName,
        /// The label.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// CREATE DOMAIN
    CreateDomain(Box<CreateDomain>),
    /// ALTER DOMAIN
    AlterDomain(Box<AlterDomain>),
}

/// CREATE TYPE … AS RANGE
#[derive(Debug, Clone)]
pub struct CreateRange {
    /// Its name.
    pub name: QualifiedName,
    /// SUBTYPE
    pub subtype: Option<TypeName>,
    /// What else is said of it, each once.
    pub attributes: Vec<(RangeAttribute, QualifiedName)>,
}

/// What may be said of a range beside what its bounds are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeAttribute {
    /// SUBTYPE_OPCLASS
    OperatorClass,
    /// COLLATION
    Collation,
    /// CANONICAL
    Canonical,
    /// SUBTYPE_DIFF
    Difference,
    /// MULTIRANGE_TYPE_NAME
    Multirange,
}

/// An attribute of a composite type.
#[derive(Debug, Clone)]
pub struct AttributeDefinition {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: TypeName,
}

/// What becomes of an attribute.
#[derive(Debug, Clone)]
pub enum AttributeAction {
    /// ADD ATTRIBUTE
    Add(AttributeDefinition),
    /// DROP ATTRIBUTE
    Drop {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER ATTRIBUTE … TYPE
    Alter(AttributeDefinition),
    /// RENAME ATTRIBUTE
    Rename {
        /// Which.
        from: Name,
        /// What it becomes.
        to: Name,
    },
}

/// CREATE DOMAIN
#[derive(Debug, Clone)]
pub struct CreateDomain {
    /// Its name.
    pub name: QualifiedName,
    /// What it is over.
    pub ty: TypeName,
    /// DEFAULT
    pub default: Option<DefaultDefinition>,
    /// NOT NULL
    pub not_null: bool,
    /// CHECK
    pub checks: Vec<CheckDefinition>,
}

/// ALTER DOMAIN
#[derive(Debug, Clone)]
pub struct AlterDomain {
    /// Which.
    pub name: QualifiedName,
    /// What changes.
    pub action: DomainAction,
}

/// What changes of a domain.
#[derive(Debug, Clone)]
pub enum DomainAction {
    /// SET DEFAULT, DROP DEFAULT
    SetDefault(Option<DefaultDefinition>),
    /// SET NOT NULL, DROP NOT NULL
    NotNull(bool),
    /// ADD
    Add(CheckDefinition),
    /// DROP CONSTRAINT
    Drop {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
    },
    /// RENAME CONSTRAINT
    Rename {
        /// Which.
        from: Name,
        /// Its new name.
        to: Name,
    },
    /// VALIDATE CONSTRAINT
    Validate(Name),
}

/// What a comment is on.
#[derive(Debug, Clone)]
pub enum CommentTarget {
    /// A table, sequence, view or schema.
    Object(ObjectName),
    /// A column.
    Column(QualifiedName, Name),
    /// A constraint of a table.
    Constraint {
        /// Its name.
        name: Name,
        /// The table.
        table: QualifiedName,
    },
    /// A function.
    Function(FunctionName),
    /// The database.
    Database(Name),
}

/// CREATE VIEW
#[derive(Debug, Clone)]
pub struct CreateView {
    /// Its name.
    pub name: QualifiedName,
    /// OR REPLACE
    pub replace: bool,
    /// Names for its columns, from the left.
    pub columns: Vec<Name>,
    /// WITH (…), WITH CHECK OPTION
    pub options: Vec<ViewOption>,
    /// Its query.
    pub query: Query,
    /// The query's text.
    pub text: String,
    /// TEMPORARY
    pub persistence: Persistence,
}

/// An option of a view, and what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewOption {
    /// `security_invoker`
    Invoker(bool),
    /// `security_barrier`
    Barrier(bool),
    /// `check_option`; `None`: there is none.
    Check(Option<CheckOption>),
}

impl ViewOption {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoker(_) => "security_invoker",
            Self::Barrier(_) => "security_barrier",
            Self::Check(_) => "check_option",
        }
    }
}

/// CREATE TABLE … AS
#[derive(Debug, Clone)]
pub struct CreateTableAs {
    /// Its name.
    pub name: QualifiedName,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Names for its columns, from the left.
    pub columns: Vec<Name>,
    /// Its rows.
    pub query: Query,
    /// WITH DATA, as without anything.
    pub with_data: bool,
    /// MATERIALIZED VIEW: the query's text.
    pub view: Option<String>,
    /// TEMPORARY
    pub persistence: Persistence,
    /// ON COMMIT
    pub on_commit: Option<OnCommit>,
}

/// How long something new is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Until it is dropped.
    Permanent,
    /// UNLOGGED
    Unlogged,
    /// TEMPORARY: as long as the session.
    Temporary,
    /// GLOBAL TEMPORARY: the same. Where that is written.
    Global(usize),
}

impl Persistence {
    /// Whether it is temporary.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Temporary | Self::Global(_))
    }
}

/// TRUNCATE
#[derive(Debug, Clone)]
pub struct Truncate {
    /// The tables.
    pub names: Vec<QualifiedName>,
    /// RESTART IDENTITY
    pub restart: bool,
    /// CASCADE
    pub cascade: bool,
}

/// OVERRIDING … VALUE of INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overriding {
    /// SYSTEM: values for columns that are GENERATED ALWAYS are taken.
    System,
    /// USER: values for identity columns are ignored.
    User,
}
