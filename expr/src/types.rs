//! PostgreSQL's types by OID and type modifier.

/// A type with its modifier, as PostgreSQL's catalogs name them (`pg_type.oid`, `atttypmod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type {
    /// Which type.
    pub kind: TypeKind,
    /// `atttypmod`: -1 = none; varchar(n) and char(n): n + 4; numeric(p, s): ((p << 16) | s) + 4.
    pub modifier: i32,
}

impl Type {
    /// The type without a modifier.
    pub const fn plain(kind: TypeKind) -> Self {
        Self { kind, modifier: -1 }
    }
}

impl From<TypeKind> for Type {
    fn from(kind: TypeKind) -> Self {
        Self::plain(kind)
    }
}

/// The types that are supported. The discriminant is the OID in `pg_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum TypeKind {
    /// boolean
    Bool = 16,
    /// bytea
    Bytea = 17,
    /// "char", one byte, of system catalogs
    QuotedChar = 18,
    /// name, of system catalogs
    Name = 19,
    /// bigint
    Int8 = 20,
    /// smallint
    Int2 = 21,
    /// integer
    Int4 = 23,
    /// text
    Text = 25,
    /// oid, of system catalogs
    Oid = 26,
    /// real
    Float4 = 700,
    /// double precision
    Float8 = 701,
    /// An untyped literal or NULL before it is resolved.
    Unknown = 705,
    /// character(n)
    Bpchar = 1042,
    /// character varying(n)
    Varchar = 1043,
    /// date
    Date = 1082,
    /// timestamp without time zone
    Timestamp = 1114,
    /// timestamp with time zone
    Timestamptz = 1184,
    /// interval
    Interval = 1186,
    /// numeric(p, s)
    Numeric = 1700,
    /// What a function without a result returns.
    Void = 2278,
    /// uuid
    Uuid = 2950,
}
