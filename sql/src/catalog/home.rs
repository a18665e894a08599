//! Where the rows of a database's catalog stand among the keys.
//!
//! ```text
//! the first database   'd' tenant 's' index-id  rest            as every cluster has it from its beginning
//! every other          'd' tenant 's' 32 oid (u32)  index-id  rest
//! ```
//!
//! Roles, databases and the rights and comments on databases are of the whole cluster: they stand where the first
//! database's rows do.

use bytes::Bytes;
use keys::Span;
use keys::sql::TENANT_DEFAULT;

use super::Oid;

/// The index id under which the catalogs of all databases but the first stand.
const HOMES: u64 = 32;

/// Where a database's catalog stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home(Oid);

impl Home {
    /// That of the first database, `postgres`, and of what is of the whole cluster.
    pub const FIRST: Self = Self(super::FIRST_DATABASE_OID);

    /// That of a database.
    pub const fn of(database: Oid) -> Self {
        Self(database)
    }

    /// What the rows of an index of the catalog begin with.
    pub fn prefix(self, index: u64) -> Vec<u8> {
        if self == Self::FIRST {
            return keys::sql::index_prefix(TENANT_DEFAULT, index).to_vec();
        }
        let mut prefix = self.all();
        keys::encode::put_varint(index, &mut prefix);
        prefix
    }

    /// The rows of an index of the catalog.
    pub fn span(self, index: u64) -> Span {
        Span::prefix(self.prefix(index))
    }

    /// All rows, of any database but the first.
    pub fn whole(self) -> Option<Span> {
        (self != Self::FIRST).then(|| Span::prefix(self.all()))
    }

    fn all(self) -> Vec<u8> {
        let mut prefix = keys::sql::index_prefix(TENANT_DEFAULT, HOMES).to_vec();
        keys::encode::put_u32(self.0, &mut prefix);
        prefix
    }

    /// A key of an index of the catalog.
    pub fn key(self, index: u64, parts: &[u32]) -> Bytes {
        let mut key = self.prefix(index);
        parts.iter().for_each(|part| keys::encode::put_u32(*part, &mut key));
        key.push(keys::sql::SUFFIX_ROW);
        key.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_lie_apart() {
        let (one, other) = (Home::of(20_000), Home::of(20_001));
        let (all, next) = (one.whole().unwrap(), other.whole().unwrap());
        assert_eq!(Home::FIRST.whole(), None);
        for index in [1, 3, 4, 18] {
            assert!(all.contains(&one.key(index, &[7])) && !all.contains(&other.key(index, &[7])));
            assert!(!all.contains(&Home::FIRST.key(index, &[7])));
            assert!(one.span(index).contains(&one.key(index, &[7, 8])));
        }
        assert!(all.end <= next.start);
        assert_eq!(Home::FIRST.prefix(3), keys::sql::index_prefix(TENANT_DEFAULT, 3).to_vec());
    }
}
