//! PostgreSQL's types by OID and type modifier, with what the rules of type resolution need to know of them.
//!
//! A type is its OID. What is known of it stands in a row of [`table`]; how its values are read and written, in a row of
//! [`crate::codec`]. Nothing else has to know that the type exists.

mod category;
mod modifier;
mod row;
mod table;

pub use category::Category;
pub use modifier::Modifiers;
pub use row::{Alignment, Form, Order, TypeRow};
pub use table::kinds;

/// A type with its modifier, as PostgreSQL's catalogs name them (`pg_type.oid`, `atttypmod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type {
    /// Which type.
    pub kind: TypeKind,
    /// `atttypmod`: what stood between parentheses behind its name, packed; -1 = nothing. An array has that of its elements.
    pub modifier: i32,
}

impl Type {
    /// The type without a modifier.
    pub const fn plain(kind: TypeKind) -> Self {
        Self { kind, modifier: -1 }
    }

    /// The type of an array's elements; None if this is no array.
    pub fn element(&self) -> Option<Self> {
        self.kind.element().map(|kind| Self { kind, modifier: self.modifier })
    }
}

impl From<TypeKind> for Type {
    fn from(kind: TypeKind) -> Self {
        Self::plain(kind)
    }
}

/// Which type: its OID in `pg_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeKind(u32);

impl std::fmt::Debug for TypeKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", self.name(), self.0)
    }
}

impl TypeKind {
    /// The type of this OID, if it is known.
    pub fn from_oid(oid: u32) -> Option<Self> {
        table::find(oid).map(|row| row.id)
    }

    /// `pg_type.oid`.
    pub const fn oid(self) -> u32 {
        self.0
    }

    /// What is known of it.
    #[inline]
    pub fn row(self) -> &'static TypeRow {
        table::find(self.0).unwrap_or(&table::UNDEFINED)
    }

    /// How many types there are.
    pub const COUNT: usize = table::COUNT;

    /// Which of them it is, from 0.
    pub(crate) fn place(self) -> Option<usize> {
        table::place(self.0)
    }

    /// All types, by ascending OID.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        table::ROWS.iter().map(|row| row.id)
    }

    /// `pg_type.typname`: `int4`, `_text`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The name as SQL spells it: `integer`, `text[]`.
    pub fn display_name(self) -> &'static str {
        self.row().display_name
    }

    /// `pg_type.typcategory`.
    pub fn category(self) -> Category {
        self.row().category
    }

    /// `pg_type.typispreferred`.
    pub fn is_preferred(self) -> bool {
        self.row().is_preferred
    }

    /// `pg_type.typlen`: bytes; -1 = of variable length.
    pub fn length(self) -> i16 {
        self.row().length
    }

    /// How its values are held.
    #[inline]
    pub fn form(self) -> Form {
        self.row().form
    }

    /// Its default order and equality.
    #[inline]
    pub fn order(self) -> Order {
        self.row().order
    }

    /// The type of this name: `int4`, `_text` of `pg_type`, or one of SQL's spellings: `integer`,
    /// `double precision`, `character varying`, `text[]`.
    pub fn from_name(name: &str) -> Option<Self> {
        let spelled = table::SPELLINGS.iter().find(|(spelling, _)| *spelling == name).map(|(_, kind)| *kind);
        let named = |row: &&TypeRow| row.name == name || row.display_name == name;
        spelled
            .or_else(|| table::ROWS.iter().find(named).map(|row| row.id))
            .or_else(|| name.strip_suffix("[]").and_then(Self::from_name).and_then(Self::array))
    }

    /// The type of an array of these.
    pub fn array(self) -> Option<Self> {
        self.row().array
    }

    /// The type of an array's elements; None if this is no array.
    #[inline]
    pub fn element(self) -> Option<Self> {
        self.row().element
    }

    /// int2vector and oidvector of the catalogs: arrays of one dimension that count from 0 and are written as a list.
    pub fn is_vector(self) -> bool {
        matches!(self, TypeKind::Int2Vector | TypeKind::OidVector)
    }

    /// regclass, regtype and their like: an OID that prints as a name.
    pub fn is_reg(self) -> bool {
        self.form() == Form::Oid && self != TypeKind::Oid
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
        self.category() != Category::Pseudo
            && self.form() != Form::None
            && self != TypeKind::Unknown
            && self != TypeKind::RecordArray
    }
}
