//! Sets of rights.

use super::Object;

/// One right, by the bit that it has in PostgreSQL's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// INSERT
    Insert = 0,
    /// SELECT
    Select = 1,
    /// UPDATE
    Update = 2,
    /// DELETE
    Delete = 3,
    /// TRUNCATE
    Truncate = 4,
    /// REFERENCES
    References = 5,
    /// TRIGGER
    Trigger = 6,
    /// EXECUTE
    Execute = 7,
    /// USAGE
    Usage = 8,
    /// CREATE
    Create = 9,
    /// TEMPORARY
    Temporary = 10,
    /// CONNECT
    Connect = 11,
}

/// All rights with their names and the letters by which lists show them, in the lists' order.
const TABLE: [(Right, &str, char); 12] = [
    (Right::Insert, "INSERT", 'a'),
    (Right::Select, "SELECT", 'r'),
    (Right::Update, "UPDATE", 'w'),
    (Right::Delete, "DELETE", 'd'),
    (Right::Truncate, "TRUNCATE", 'D'),
    (Right::References, "REFERENCES", 'x'),
    (Right::Trigger, "TRIGGER", 't'),
    (Right::Execute, "EXECUTE", 'X'),
    (Right::Usage, "USAGE", 'U'),
    (Right::Create, "CREATE", 'C'),
    (Right::Temporary, "TEMPORARY", 'T'),
    (Right::Connect, "CONNECT", 'c'),
];

impl Right {
    /// The right of this name, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("temp") {
            return Some(Self::Temporary);
        }
        TABLE.iter().find(|(_, own, _)| own.eq_ignore_ascii_case(name)).map(|(right, ..)| *right)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(right, ..)| *right == self).map_or("", |(_, name, _)| name)
    }
}

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u32);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);

    /// One.
    pub const fn of(right: Right) -> Self {
        Self(1 << right as u32)
    }

    /// Several.
    pub fn of_all(rights: &[Right]) -> Self {
        rights.iter().fold(Self::NONE, |all, right| all.or(Self::of(*right)))
    }

    /// Of what is stored.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// To be stored.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// All that there are on an object.
    pub fn all_of(object: Object) -> Self {
        use Right::{
            Connect, Create, Delete, Execute, Insert, References, Select, Temporary, Trigger, Truncate,
            Update, Usage,
        };
        Self::of_all(match object {
            Object::Table(_) => &[Insert, Select, Update, Delete, Truncate, References, Trigger],
            Object::Sequence(_) => &[Select, Update, Usage],
            Object::Schema(_) => &[Usage, Create],
            Object::Type(_) => &[Usage],
            Object::Extension(_) => &[],
            Object::Function(_) => &[Execute],
            Object::Database(_) => &[Create, Temporary, Connect],
        })
    }

    /// All that there are on a column.
    pub fn all_of_column() -> Self {
        Self::of_all(&[Right::Insert, Right::Select, Right::Update, Right::References])
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the right is among them.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & Self::of(right).0 != 0
    }

    /// How many there are.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Each of them, in the order of lists.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        TABLE.iter().map(|(right, ..)| *right).filter(move |right| self.contains(*right))
    }

    /// Their letters, with a star behind those of `grantable`.
    pub(super) fn letters(self, grantable: Self) -> String {
        let mut letters = String::new();
        for (right, _, letter) in TABLE {
            if self.contains(right) {
                letters.push(letter);
                if grantable.contains(right) {
                    letters.push('*');
                }
            }
        }
        letters
    }
}
