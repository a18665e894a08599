//! What is said of sequences, and of the identity columns that they make values for.

use super::{Name, QualifiedName, TypeName};

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
