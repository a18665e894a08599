//! PostgreSQL's types by OID and type modifier, with what the rules of type resolution need to know of them.
//!
//! A type is its OID. What is known of it stands in a row of [`table`]; how its values are read and written, in a row of
//! [`crate::codec`]. Nothing else has to know that the type exists. A type that a user has made ([`TypeKind::made`]) carries
//! with its OID the row of the built-in type that its values are held like, and its name: whoever only moves, compares or
//! stores its values needs no catalog.

mod category;
mod interval_fields;
mod modifier;
mod row;
mod symbol;
mod table;

pub use category::Category;
pub use interval_fields::IntervalFields;
pub use modifier::{ALL_FIELDS, Modifiers};
pub use row::{Alignment, Form, Order, TypeRow};
pub use symbol::Symbol;
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

    /// Whether both are one type with one modifier, see [`TypeKind::is_same`].
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind.is_same(other.kind) && self.modifier == other.modifier
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
///
/// # Invariants
/// - `like` is the OID of a row of the table; of a built-in type it is its own, and there is no name.
/// - The arrays of a type that was made have the OID behind its own.
/// - A domain knows what it is over at last: `like` says it of what is built in, `name` of what was made.
/// - A range that was made is like [`TypeKind::MadeRange`]; `name` says what its bounds are of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeKind {
    oid: u32,
    /// Whose row says how values are held.
    like: u32,
    /// What a type that was made is called; of its arrays: what their elements' type is.
    name: Symbol,
    /// Whether it is the type of the arrays of a type that was made.
    holds_made: bool,
    /// Whether it is a domain over a type that was made, or arrays of one.
    is_over_made: bool,
}

/// The OIDs of types begin here; rows below stand for kinds of types of which each is made.
const FIRST_OID: u32 = 16;

impl std::fmt::Debug for TypeKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", self.display_name(), self.oid)
    }
}

impl TypeKind {
    const fn built_in(oid: u32) -> Self {
        Self { oid, like: oid, name: Symbol::NONE, holds_made: false, is_over_made: false }
    }

    /// A type that was made, held like a built-in one: an enum like [`TypeKind::Enum`], a composite type like
    /// [`TypeKind::Record`], a domain like what it is over that is built in. `name` is what SQL calls it. Of a range see
    /// [`TypeKind::range`].
    pub const fn made(oid: u32, like: TypeKind, name: Symbol) -> Self {
        Self { oid, like: like.like, name, holds_made: false, is_over_made: false }
    }

    /// A domain over a type that is no domain itself. `name` is what SQL calls it.
    pub fn domain(oid: u32, over: TypeKind, name: &str) -> Self {
        match over.is_built_in() {
            true => Self::made(oid, over, Symbol::of(name)),
            false => Self { is_over_made: true, ..Self::made(oid, over, Symbol::over(name, over)) },
        }
    }

    /// A range that was made, whose bounds are of `subtype`. `name` is what SQL calls it.
    pub fn range(oid: u32, subtype: TypeKind, name: &str) -> Self {
        Self::made(oid, TypeKind::MadeRange, Symbol::over(name, subtype))
    }

    /// The built-in type of this OID, if there is one.
    pub fn from_oid(oid: u32) -> Option<Self> {
        table::find(oid).map(|row| row.id).filter(|kind| kind.oid >= FIRST_OID)
    }

    /// The type of this OID that stands in the table, be it one that each made type of its kind is like.
    pub(crate) fn of_row(oid: u32) -> Option<Self> {
        table::find(oid).map(|row| row.id)
    }

    /// The type of this OID that is, or is arrays of, the made type `made`, held like the built-in one `like`; what it is
    /// called is not known.
    pub(crate) fn of_parts(oid: u32, made: Option<u32>, like: u32) -> Option<Self> {
        match made {
            None => Self::from_oid(oid),
            Some(made) => {
                let like = table::find(like)?.id.oid;
                Some(Self { oid, like, name: Symbol::NONE, holds_made: made != oid, is_over_made: false })
            }
        }
    }

    /// `pg_type.oid`.
    pub const fn oid(self) -> u32 {
        self.oid
    }

    /// Whether it is built in, rather than made.
    pub const fn is_built_in(self) -> bool {
        self.oid == self.like
    }

    /// The OID of the made type that it is, or is arrays of.
    pub const fn made_oid(self) -> Option<u32> {
        match (self.is_built_in(), self.holds_made) {
            (true, _) => None,
            (false, true) => self.oid.checked_sub(1),
            (false, false) => Some(self.oid),
        }
    }

    /// Whether both are one type, whatever either was called when it was looked up.
    pub const fn is_same(self, other: Self) -> bool {
        self.oid == other.oid
    }

    /// Whether it is some enum.
    pub const fn is_enum(self) -> bool {
        self.like == TypeKind::Enum.like && !self.is_over_made
    }

    /// Whether it is a composite type that was made.
    pub const fn is_composite(self) -> bool {
        !self.is_built_in() && self.is_record() && !self.is_over_made
    }

    /// Whether it is a range that was made.
    pub const fn is_made_range(self) -> bool {
        self.like == TypeKind::MadeRange.like && !self.is_over_made
    }

    /// Whether its values are records: of whatever fields, of a composite type, or of a domain over one.
    pub const fn is_record(self) -> bool {
        self.like == TypeKind::Record.like
    }

    /// Whether it is a domain.
    pub const fn is_domain(self) -> bool {
        let is_range = self.like == TypeKind::MadeRange.like;
        let is_held_by_itself = self.like == TypeKind::Enum.like || self.is_record() || is_range;
        !self.is_built_in() && !self.holds_made && (self.is_over_made || !is_held_by_itself)
    }

    /// The type that a domain is over at last, or arrays of it for arrays of domains; any other type itself.
    pub fn base(self) -> Self {
        if self.is_built_in() {
            return self;
        }
        if self.is_over_made {
            let over = self.name.base();
            let over = if self.holds_made { over.and_then(Self::array) } else { over };
            // Of a name too many it is known what it is like.
            return over.unwrap_or(Self { is_over_made: false, ..self });
        }
        let is_itself = [
            TypeKind::Enum,
            TypeKind::Record,
            TypeKind::MadeRange,
            TypeKind::EnumArray,
            TypeKind::RecordArray,
            TypeKind::MadeRangeArray,
        ]
        .iter()
        .any(|kind| kind.like == self.like);
        if is_itself { self } else { Self::built_in(self.like) }
    }

    /// What is known of it.
    #[inline]
    pub fn row(self) -> &'static TypeRow {
        table::find(self.like).unwrap_or(&table::UNDEFINED)
    }

    /// How many built-in types there are.
    pub const COUNT: usize = table::COUNT;

    /// Which of them it is, from 0.
    pub(crate) fn place(self) -> Option<usize> {
        table::place(self.oid)
    }

    /// All built-in types, by ascending OID.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        table::ROWS.iter().map(|row| row.id).filter(|kind| kind.oid >= FIRST_OID)
    }

    /// `pg_type.typname` of a built-in type: `int4`, `_text`; of one that was made what SQL calls it.
    pub fn name(self) -> &'static str {
        if self.is_built_in() { self.row().name } else { self.display_name() }
    }

    /// The name as SQL spells it: `integer`, `text[]`.
    pub fn display_name(self) -> &'static str {
        let named = if self.holds_made { self.name.of_array() } else { self.name };
        named.text().unwrap_or(self.row().display_name)
    }

    /// `pg_type.typcategory`.
    pub fn category(self) -> Category {
        if !self.is_built_in() && self.is_record() { Category::Composite } else { self.row().category }
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

    /// Whether one of two values that differ comes before the other, where nobody asks for another order.
    pub fn is_ordered(self) -> bool {
        match self.order() {
            Order::Natural | Order::BlankPadded => true,
            Order::Hashed | Order::None => false,
        }
    }

    /// What the operator class is called that it has by itself, unless it has neither order nor hash.
    pub fn class(self) -> &'static str {
        self.row().class
    }

    /// Whether its equality has a hash, so that `hash` has that class, too.
    pub fn hashes(self) -> bool {
        self.row().hashes
    }

    /// The type of this name that is always there: `int4`, `_text` of `pg_type`, or one of SQL's spellings: `integer`,
    /// `double precision`, `character varying`, `text[]`.
    pub fn from_name(name: &str) -> Option<Self> {
        let spelled = table::SPELLINGS.iter().find(|(spelling, _)| *spelling == name).map(|(_, kind)| *kind);
        let named =
            |row: &&TypeRow| row.extension.is_none() && (row.name == name || row.display_name == name);
        spelled
            .or_else(|| table::ROWS.iter().find(named).map(|row| row.id).filter(|kind| kind.oid >= FIRST_OID))
            .or_else(|| name.strip_suffix("[]").and_then(Self::from_name).and_then(Self::array))
    }

    /// The type that `pg_type` has under this name once its extension is created, and which extension that is.
    pub fn of_extension(name: &str) -> Option<(Self, &'static str)> {
        table::ROWS.iter().find_map(|row| Some((row.id, row.extension.filter(|_| row.name == name)?)))
    }

    /// The extension that it comes with, or what it is like, if that is not always there.
    pub fn extension(self) -> Option<&'static str> {
        self.row().extension
    }

    /// The type of an array of these.
    pub fn array(self) -> Option<Self> {
        let like = self.row().array?;
        if self.is_built_in() {
            return Some(like);
        }
        Some(Self { oid: self.oid.checked_add(1)?, like: like.like, holds_made: true, ..self })
    }

    /// The type of an array's elements; None if this is no array.
    #[inline]
    pub fn element(self) -> Option<Self> {
        let like = self.row().element?;
        match (self.holds_made, self.is_over_made) {
            (false, false) => Some(like),
            (false, true) => self.base().element(),
            (true, _) => {
                Some(Self { oid: self.oid.checked_sub(1)?, like: like.like, holds_made: false, ..self })
            }
        }
    }

    /// The type of a range's bounds; None if this is no range, or one that was made and of which only the OID is known.
    #[inline]
    pub fn subtype(self) -> Option<Self> {
        if self.like != TypeKind::MadeRange.like {
            return self.row().subtype;
        }
        if self.is_over_made { self.base().subtype() } else { self.name.base() }
    }

    /// The type of a multirange's ranges; None if this is no multirange.
    #[inline]
    pub fn ranges(self) -> Option<Self> {
        self.row().ranges
    }

    /// The type of multiranges of a range; None of one that was made, and if this is no range.
    pub fn multirange(self) -> Option<Self> {
        table::ROWS.iter().find(|row| row.ranges == Some(self)).map(|row| row.id)
    }

    /// What the texts within a literal of it are read as: the elements of an array, the bounds of a range, or the whole.
    pub fn innermost(self) -> Self {
        let element = self.element().unwrap_or(self);
        let range = element.ranges().unwrap_or(element);
        range.subtype().unwrap_or(range)
    }

    /// int2vector and oidvector of the catalogs: arrays of one dimension that count from 0 and are written as a list.
    pub fn is_vector(self) -> bool {
        matches!(self, TypeKind::Int2Vector | TypeKind::OidVector)
    }

    /// regclass, regtype and their like: an OID that prints as a name.
    pub fn is_reg(self) -> bool {
        self.form() == Form::Oid && !matches!(self, TypeKind::Oid | TypeKind::Xid)
    }

    /// anyelement and its like, whose real type a call decides.
    pub fn is_polymorphic(self) -> bool {
        matches!(
            self,
            TypeKind::AnyArray
                | TypeKind::AnyElement
                | TypeKind::AnyEnum
                | TypeKind::AnyNonArray
                | TypeKind::AnyRange
                | TypeKind::AnyMultirange
                | TypeKind::AnyCompatible
                | TypeKind::AnyCompatibleArray
        )
    }

    /// text, varchar, char(n), name, but not citext: whether its values are [`crate::Datum::Text`] of category string.
    pub fn is_string(self) -> bool {
        self.category() == Category::String && self.form() == Form::Text
    }

    /// Whether a table's column may have this type.
    pub fn is_storable(self) -> bool {
        self.category() != Category::Pseudo
            && self.form() != Form::None
            && self != TypeKind::Unknown
            && self != TypeKind::RecordArray
    }
}
