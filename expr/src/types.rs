//! PostgreSQL's types by OID and type modifier, with what the rules of type resolution need to know of them.

use crate::error::{Error, Result};

/// A type with its modifier, as PostgreSQL's catalogs name them (`pg_type.oid`, `atttypmod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type {
    /// Which type.
    pub kind: TypeKind,
    /// `atttypmod`: -1 = none; varchar(n) and char(n): n + 4; numeric(p, s): ((p << 16) | (s & 0x7ff)) + 4;
    /// timestamp(p) and timestamptz(p): p.
    pub modifier: i32,
}

impl Type {
    /// The type without a modifier.
    pub const fn plain(kind: TypeKind) -> Self {
        Self { kind, modifier: -1 }
    }

    /// `numeric(precision, scale)`.
    pub const fn numeric(precision: i32, scale: i32) -> Self {
        Self { kind: TypeKind::Numeric, modifier: ((precision << 16) | (scale & 0x7ff)) + 4 }
    }

    /// varchar(n) or char(n): `n`, if there is one.
    pub fn length(&self) -> Option<usize> {
        match self.kind {
            TypeKind::Varchar | TypeKind::Bpchar if self.modifier >= 4 => {
                usize::try_from(self.modifier - 4).ok()
            }
            _ => None,
        }
    }

    /// numeric(precision, scale): both, if there are any.
    pub fn precision_and_scale(&self) -> Option<(i32, i32)> {
        if self.kind != TypeKind::Numeric || self.modifier < 4 {
            return None;
        }
        let packed = self.modifier - 4;
        Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
    }

    /// The type as `format_type` prints it: `character varying(10)`, `timestamp(3) without time zone`.
    pub fn display_name(&self) -> String {
        let name = self.kind.display_name();
        match self.kind {
            TypeKind::Varchar => self.length().map_or(name.to_owned(), |n| format!("{name}({n})")),
            TypeKind::Bpchar => match self.length() {
                Some(n) => format!("{name}({n})"),
                None => "bpchar".to_owned(),
            },
            TypeKind::Numeric => match self.precision_and_scale() {
                Some((p, s)) => format!("{name}({p},{s})"),
                None => name.to_owned(),
            },
            TypeKind::Timestamp if self.modifier >= 0 => {
                format!("timestamp({}) without time zone", self.modifier)
            }
            TypeKind::Timestamptz if self.modifier >= 0 => {
                format!("timestamp({}) with time zone", self.modifier)
            }
            TypeKind::Interval if self.modifier >= 0 && self.modifier & 0xffff != 0xffff => {
                format!("interval({})", self.modifier & 0xffff)
            }
            _ => name.to_owned(),
        }
    }
}

impl From<TypeKind> for Type {
    fn from(kind: TypeKind) -> Self {
        Self::plain(kind)
    }
}

/// `pg_type.typcategory`: what decides between candidates when types must be guessed (manual, table 52.65).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// `A`
    Array,
    /// `B`
    Boolean,
    /// `D`: dates and times
    DateTime,
    /// `N`
    Numeric,
    /// `P`: any, anyelement, void
    Pseudo,
    /// `S`
    String,
    /// `T`: intervals
    Timespan,
    /// `U`: user-defined, as bytea and uuid count
    User,
    /// `X`: unknown
    Unknown,
    /// `Z`: internal use
    Internal,
}

impl Category {
    /// The letter in `pg_type.typcategory`.
    pub fn letter(self) -> char {
        match self {
            Category::Array => 'A',
            Category::Boolean => 'B',
            Category::DateTime => 'D',
            Category::Numeric => 'N',
            Category::Pseudo => 'P',
            Category::String => 'S',
            Category::Timespan => 'T',
            Category::User => 'U',
            Category::Unknown => 'X',
            Category::Internal => 'Z',
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $oid:literal, $name:literal, $display:literal, $category:ident,
       $preferred:literal, $length:literal;)*) => {
        /// The types that are supported. The discriminant is the OID in `pg_type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum TypeKind {
            $($(#[$doc])* $kind = $oid,)*
        }

        impl TypeKind {
            /// All of them, by ascending OID.
            pub const ALL: &'static [TypeKind] = &[$(TypeKind::$kind,)*];

            /// The kind of this OID.
            pub fn from_oid(oid: u32) -> Option<Self> {
                match oid {
                    $($oid => Some(TypeKind::$kind),)*
                    _ => None,
                }
            }

            /// `pg_type.typname`: `int4`, `_text`.
            pub fn name(self) -> &'static str {
                match self { $(TypeKind::$kind => $name,)* }
            }

            /// The name as SQL spells it: `integer`, `text[]`.
            pub fn display_name(self) -> &'static str {
                match self { $(TypeKind::$kind => $display,)* }
            }

            /// `pg_type.typcategory`.
            pub fn category(self) -> Category {
                match self { $(TypeKind::$kind => Category::$category,)* }
            }

            /// `pg_type.typispreferred`.
            pub fn is_preferred(self) -> bool {
                match self { $(TypeKind::$kind => $preferred,)* }
            }

            /// `pg_type.typlen`: bytes; -1 = of variable length.
            pub fn length(self) -> i16 {
                match self { $(TypeKind::$kind => $length,)* }
            }
        }
    };
}

kinds! {
    /// boolean
    Bool = 16, "bool", "boolean", Boolean, true, 1;
    /// bytea
    Bytea = 17, "bytea", "bytea", User, false, -1;
    /// "char", one byte, of system catalogs
    QuotedChar = 18, "char", "\"char\"", Internal, false, 1;
    /// name, of system catalogs
    Name = 19, "name", "name", String, false, 64;
    /// bigint
    Int8 = 20, "int8", "bigint", Numeric, false, 8;
    /// smallint
    Int2 = 21, "int2", "smallint", Numeric, false, 2;
    /// int2vector, of system catalogs: an array that counts from 0
    Int2Vector = 22, "int2vector", "int2vector", Array, false, -1;
    /// integer
    Int4 = 23, "int4", "integer", Numeric, false, 4;
    /// regproc: the OID of a function, printed as its name
    Regproc = 24, "regproc", "regproc", Numeric, false, 4;
    /// text
    Text = 25, "text", "text", String, true, -1;
    /// oid, of system catalogs
    Oid = 26, "oid", "oid", Numeric, true, 4;
    /// oidvector, of system catalogs: an array that counts from 0
    OidVector = 30, "oidvector", "oidvector", Array, false, -1;
    /// real
    Float4 = 700, "float4", "real", Numeric, false, 4;
    /// double precision
    Float8 = 701, "float8", "double precision", Numeric, true, 8;
    /// An untyped literal or NULL before it is resolved.
    Unknown = 705, "unknown", "unknown", Unknown, false, -2;
    /// boolean[]
    BoolArray = 1000, "_bool", "boolean[]", Array, false, -1;
    /// bytea[]
    ByteaArray = 1001, "_bytea", "bytea[]", Array, false, -1;
    /// "char"[]
    QuotedCharArray = 1002, "_char", "\"char\"[]", Array, false, -1;
    /// name[]
    NameArray = 1003, "_name", "name[]", Array, false, -1;
    /// smallint[]
    Int2Array = 1005, "_int2", "smallint[]", Array, false, -1;
    /// integer[]
    Int4Array = 1007, "_int4", "integer[]", Array, false, -1;
    /// text[]
    TextArray = 1009, "_text", "text[]", Array, false, -1;
    /// character[]
    BpcharArray = 1014, "_bpchar", "character[]", Array, false, -1;
    /// character varying[]
    VarcharArray = 1015, "_varchar", "character varying[]", Array, false, -1;
    /// bigint[]
    Int8Array = 1016, "_int8", "bigint[]", Array, false, -1;
    /// real[]
    Float4Array = 1021, "_float4", "real[]", Array, false, -1;
    /// double precision[]
    Float8Array = 1022, "_float8", "double precision[]", Array, false, -1;
    /// oid[]
    OidArray = 1028, "_oid", "oid[]", Array, false, -1;
    /// character(n)
    Bpchar = 1042, "bpchar", "character", String, false, -1;
    /// character varying(n)
    Varchar = 1043, "varchar", "character varying", String, false, -1;
    /// date
    Date = 1082, "date", "date", DateTime, false, 4;
    /// timestamp without time zone
    Timestamp = 1114, "timestamp", "timestamp without time zone", DateTime, false, 8;
    /// timestamp[]
    TimestampArray = 1115, "_timestamp", "timestamp without time zone[]", Array, false, -1;
    /// date[]
    DateArray = 1182, "_date", "date[]", Array, false, -1;
    /// timestamp with time zone
    Timestamptz = 1184, "timestamptz", "timestamp with time zone", DateTime, true, 8;
    /// timestamptz[]
    TimestamptzArray = 1185, "_timestamptz", "timestamp with time zone[]", Array, false, -1;
    /// interval
    Interval = 1186, "interval", "interval", Timespan, true, 16;
    /// interval[]
    IntervalArray = 1187, "_interval", "interval[]", Array, false, -1;
    /// numeric[]
    NumericArray = 1231, "_numeric", "numeric[]", Array, false, -1;
    /// numeric(p, s)
    Numeric = 1700, "numeric", "numeric", Numeric, false, -1;
    /// regclass: the OID of a relation, printed as its name
    Regclass = 2205, "regclass", "regclass", Numeric, false, 4;
    /// regtype: the OID of a type, printed as its name
    Regtype = 2206, "regtype", "regtype", Numeric, false, 4;
    /// "any": a parameter that takes every type as it is
    Any = 2276, "any", "\"any\"", Pseudo, false, 4;
    /// anyarray
    AnyArray = 2277, "anyarray", "anyarray", Pseudo, false, -1;
    /// What a function without a result returns.
    Void = 2278, "void", "void", Pseudo, false, 4;
    /// anyelement
    AnyElement = 2283, "anyelement", "anyelement", Pseudo, false, 4;
    /// anynonarray
    AnyNonArray = 2776, "anynonarray", "anynonarray", Pseudo, false, 4;
    /// uuid
    Uuid = 2950, "uuid", "uuid", User, false, 16;
    /// uuid[]
    UuidArray = 2951, "_uuid", "uuid[]", Array, false, -1;
    /// regnamespace: the OID of a schema, printed as its name
    Regnamespace = 4089, "regnamespace", "regnamespace", Numeric, false, 4;
    /// regrole: the OID of a role, printed as its name
    Regrole = 4096, "regrole", "regrole", Numeric, false, 4;
    /// anycompatible
    AnyCompatible = 5077, "anycompatible", "anycompatible", Pseudo, false, 4;
    /// anycompatiblearray
    AnyCompatibleArray = 5078, "anycompatiblearray", "anycompatiblearray", Pseudo, false, -1;
}

impl TypeKind {
    /// `pg_type.oid`.
    pub const fn oid(self) -> u32 {
        self as u32
    }

    /// The kind of this name: `int4`, `_text` of `pg_type`, or one of SQL's spellings: `integer`,
    /// `double precision`, `character varying`, `text[]`.
    pub fn from_name(name: &str) -> Option<Self> {
        let spelled = match name {
            "char" => return Some(TypeKind::Bpchar),
            "\"char\"" => return Some(TypeKind::QuotedChar),
            "int" => TypeKind::Int4,
            "decimal" | "dec" => TypeKind::Numeric,
            "float" => TypeKind::Float8,
            "timestamp without time zone" => TypeKind::Timestamp,
            "timestamp with time zone" => TypeKind::Timestamptz,
            "timestamp[]" => TypeKind::TimestampArray,
            "timestamptz[]" => TypeKind::TimestamptzArray,
            _ => {
                let found =
                    Self::ALL.iter().copied().find(|kind| kind.name() == name || kind.display_name() == name);
                return found
                    .or_else(|| name.strip_suffix("[]").and_then(Self::from_name).and_then(Self::array));
            }
        };
        Some(spelled)
    }

    /// The type of an array of these.
    pub fn array(self) -> Option<Self> {
        Some(match self {
            TypeKind::Bool => TypeKind::BoolArray,
            TypeKind::Bytea => TypeKind::ByteaArray,
            TypeKind::QuotedChar => TypeKind::QuotedCharArray,
            TypeKind::Name => TypeKind::NameArray,
            TypeKind::Int2 => TypeKind::Int2Array,
            TypeKind::Int4 => TypeKind::Int4Array,
            TypeKind::Text => TypeKind::TextArray,
            TypeKind::Bpchar => TypeKind::BpcharArray,
            TypeKind::Varchar => TypeKind::VarcharArray,
            TypeKind::Int8 => TypeKind::Int8Array,
            TypeKind::Float4 => TypeKind::Float4Array,
            TypeKind::Float8 => TypeKind::Float8Array,
            TypeKind::Oid => TypeKind::OidArray,
            TypeKind::Timestamp => TypeKind::TimestampArray,
            TypeKind::Date => TypeKind::DateArray,
            TypeKind::Timestamptz => TypeKind::TimestamptzArray,
            TypeKind::Interval => TypeKind::IntervalArray,
            TypeKind::Numeric => TypeKind::NumericArray,
            TypeKind::Uuid => TypeKind::UuidArray,
            _ => return None,
        })
    }

    /// The type of an array's elements; None if this is no array.
    pub fn element(self) -> Option<Self> {
        Some(match self {
            TypeKind::BoolArray => TypeKind::Bool,
            TypeKind::ByteaArray => TypeKind::Bytea,
            TypeKind::QuotedCharArray => TypeKind::QuotedChar,
            TypeKind::NameArray => TypeKind::Name,
            TypeKind::Int2Array | TypeKind::Int2Vector => TypeKind::Int2,
            TypeKind::Int4Array => TypeKind::Int4,
            TypeKind::TextArray => TypeKind::Text,
            TypeKind::BpcharArray => TypeKind::Bpchar,
            TypeKind::VarcharArray => TypeKind::Varchar,
            TypeKind::Int8Array => TypeKind::Int8,
            TypeKind::Float4Array => TypeKind::Float4,
            TypeKind::Float8Array => TypeKind::Float8,
            TypeKind::OidArray | TypeKind::OidVector => TypeKind::Oid,
            TypeKind::TimestampArray => TypeKind::Timestamp,
            TypeKind::DateArray => TypeKind::Date,
            TypeKind::TimestamptzArray => TypeKind::Timestamptz,
            TypeKind::IntervalArray => TypeKind::Interval,
            TypeKind::NumericArray => TypeKind::Numeric,
            TypeKind::UuidArray => TypeKind::Uuid,
            _ => return None,
        })
    }

    /// The index of an array's first element: 0 for the vectors of the catalogs, else 1.
    pub fn first_subscript(self) -> i32 {
        i32::from(!matches!(self, TypeKind::Int2Vector | TypeKind::OidVector))
    }

    /// regclass, regtype and their like: an OID that prints as a name.
    pub fn is_reg(self) -> bool {
        matches!(
            self,
            TypeKind::Regproc
                | TypeKind::Regclass
                | TypeKind::Regtype
                | TypeKind::Regnamespace
                | TypeKind::Regrole
        )
    }

    /// anyelement and its like, whose real type a call decides.
    pub fn is_polymorphic(self) -> bool {
        matches!(
            self,
            TypeKind::AnyArray
                | TypeKind::AnyElement
                | TypeKind::AnyNonArray
                | TypeKind::AnyCompatible
                | TypeKind::AnyCompatibleArray
        )
    }

    /// text, varchar, char(n), name: whether its values are [`crate::Datum::Text`] of category string.
    pub fn is_string(self) -> bool {
        self.category() == Category::String
    }

    /// Whether a table's column may have this type.
    pub fn is_storable(self) -> bool {
        !matches!(self.category(), Category::Pseudo | Category::Unknown | Category::Array)
    }

    /// The `atttypmod` that the modifiers between parentheses stand for: `[10]` of `varchar(10)`,
    /// `[10, 2]` of `numeric(10, 2)`. 22023 if they are out of range, 42601 if the type takes none.
    pub fn modifier(self, arguments: &[i64]) -> Result<i32> {
        let invalid = |message: String| Err(Error::new("22023", message));
        match (self, arguments) {
            (_, []) => Ok(-1),
            (TypeKind::Varchar | TypeKind::Bpchar, [n]) => {
                let name = if self == TypeKind::Varchar { "varchar" } else { "char" };
                match *n {
                    n if n < 1 => invalid(format!("length for type {name} must be at least 1")),
                    n if n > 10_485_760 => invalid(format!("length for type {name} cannot exceed 10485760")),
                    n => Ok(n as i32 + 4),
                }
            }
            (TypeKind::Numeric, [p]) => TypeKind::Numeric.modifier(&[*p, 0]),
            (TypeKind::Numeric, [p, s]) => {
                if !(1..=1000).contains(p) {
                    return invalid(format!("NUMERIC precision {p} must be between 1 and 1000"));
                }
                if !(-1000..=1000).contains(s) {
                    return invalid(format!("NUMERIC scale {s} must be between -1000 and 1000"));
                }
                Ok(Type::numeric(*p as i32, *s as i32).modifier)
            }
            (TypeKind::Timestamp | TypeKind::Timestamptz, [p]) => match *p {
                p if p < 0 => {
                    let zone = if self == TypeKind::Timestamptz { " WITH TIME ZONE" } else { "" };
                    invalid(format!("TIMESTAMP({p}){zone} precision must not be negative"))
                }
                p => Ok(p.min(6) as i32),
            },
            (TypeKind::Interval, [p]) => match *p {
                p if p < 0 => invalid(format!("INTERVAL({p}) precision must not be negative")),
                p => Ok((0x7fff << 16) | p.min(6) as i32),
            },
            (TypeKind::Numeric, _) => invalid("invalid NUMERIC type modifier".to_owned()),
            (TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Timestamp | TypeKind::Timestamptz, _) => {
                invalid("invalid type modifier".to_owned())
            }
            _ => {
                Err(Error::new("42601", format!("type modifier is not allowed for type \"{}\"", self.name())))
            }
        }
    }
}
