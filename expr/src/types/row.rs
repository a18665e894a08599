//! What is known of a type: the columns of the table of types.

use super::{Category, Modifiers, TypeKind};

/// One row of `pg_type`, and how the type's values are held.
#[derive(Debug, Clone, Copy)]
pub struct TypeRow {
    /// `oid`
    pub id: TypeKind,
    /// `typname`: `int4`, `_text`.
    pub name: &'static str,
    /// The name as SQL spells it: `integer`, `text[]`.
    pub display_name: &'static str,
    /// `typcategory`
    pub category: Category,
    /// `typispreferred`
    pub is_preferred: bool,
    /// `typlen`: bytes; -1 = of variable length.
    pub length: i16,
    /// `typalign`
    pub alignment: Alignment,
    /// How its values stand in memory, in rows and in keys.
    pub form: Form,
    /// Its default order and equality.
    pub order: Order,
    /// What the operator class is called that it has by itself.
    pub class: &'static str,
    /// Whether its equality has a hash: that class of the method `hash`, too.
    pub hashes: bool,
    /// What may stand between parentheses behind its name.
    pub modifiers: Modifiers,
    /// `typarray`: the type of arrays of these.
    pub array: Option<TypeKind>,
    /// `typelem`: the type of the elements of an array.
    pub element: Option<TypeKind>,
    /// `pg_range.rngsubtype`: the type of the bounds of a range.
    pub subtype: Option<TypeKind>,
    /// `pg_range.rngtypid`: the type of the ranges of a multirange.
    pub ranges: Option<TypeKind>,
    /// The extension that it comes with, if it is not always there.
    pub extension: Option<&'static str>,
}

/// How a value stands in memory, in rows and in keys: which [`crate::Datum`] it is. A type that takes one of these needs
/// no format of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A truth value.
    Bool,
    /// 16 bits.
    Int2,
    /// 32 bits.
    Int4,
    /// 64 bits.
    Int8,
    /// 32 bits without sign.
    Oid,
    /// 32 bits, floating.
    Float4,
    /// 64 bits, floating.
    Float8,
    /// A decimal.
    Numeric,
    /// UTF-8.
    Text,
    /// Bytes.
    Bytea,
    /// Days.
    Date,
    /// Microseconds of local time.
    Timestamp,
    /// Microseconds of universal time.
    Timestamptz,
    /// Months, days and microseconds.
    Interval,
    /// 16 bytes.
    Uuid,
    /// Values of the element's form.
    Array,
    /// A JSON document.
    Json,
    /// Values of forms of their own.
    Record,
    /// What it looks like, and the key that it is compared by.
    Keyed,
    /// No value is ever of this type.
    None,
}

/// The order and equality of a type's values where nobody asks for another: its default operator class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of its form.
    Natural,
    /// That of text without the blanks at its end.
    BlankPadded,
    /// Values are equal or not, of which there is a hash; none comes before another.
    Hashed,
    /// There is none.
    None,
}

/// `pg_type.typalign`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// One byte.
    Char,
    /// Two.
    Short,
    /// Four.
    Int,
    /// Eight.
    Double,
}

impl Alignment {
    /// The letter in `pg_type.typalign`.
    pub fn letter(self) -> char {
        match self {
            Alignment::Char => 'c',
            Alignment::Short => 's',
            Alignment::Int => 'i',
            Alignment::Double => 'd',
        }
    }
}
