//! Statements about schemas and sequences, and what tables have in common with them.

use super::target::{ObjectKind, ObjectName};
use super::{Name, QualifiedName, Query, RoleReference, TypeName};

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
    },
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
    /// WITH (security_invoker)
    pub invoker: bool,
    /// Its query.
    pub query: Query,
    /// The query's text.
    pub text: String,
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
}

/// Something that is said of a sequence.
#[derive(Debug, Clone)]
pub struct SequenceOption {
    /// What.
    pub kind: SequenceOptionKind,
    /// Where.
    pub at: usize,
}

/// What can be said of a sequence.
#[derive(Debug, Clone)]
pub enum SequenceOptionKind {
    /// AS
    As(TypeName),
    /// INCREMENT BY
    Increment(i64),
    /// MINVALUE; NO MINVALUE is `None`.
    Min(Option<i64>),
    /// MAXVALUE; NO MAXVALUE is `None`.
    Max(Option<i64>),
    /// START WITH
    Start(i64),
    /// RESTART
    Restart(Option<i64>),
    /// CACHE
    Cache(i64),
    /// CYCLE, NO CYCLE
    Cycle(bool),
    /// OWNED BY; NONE is `None`.
    OwnedBy(Option<(QualifiedName, Name)>),
    /// SEQUENCE NAME, of an identity column.
    Name(QualifiedName),
}

/// GENERATED … AS IDENTITY of a column.
#[derive(Debug, Clone)]
pub struct IdentityDefinition {
    /// ALWAYS rather than BY DEFAULT.
    pub always: bool,
    /// Of its sequence.
    pub options: Vec<SequenceOption>,
    /// Where.
    pub at: usize,
}

/// What ALTER COLUMN does about an identity.
#[derive(Debug, Clone)]
pub enum IdentityAction {
    /// ADD GENERATED … AS IDENTITY
    Add(IdentityDefinition),
    /// SET GENERATED, SET of options of its sequence, RESTART
    Set {
        /// SET GENERATED ALWAYS (true) or BY DEFAULT.
        always: Option<bool>,
        /// Of its sequence.
        options: Vec<SequenceOption>,
    },
    /// DROP IDENTITY
    Drop {
        /// IF EXISTS
        if_exists: bool,
    },
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
