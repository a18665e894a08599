//! The map of the key space and the order-preserving encoding of every SQL type.
//!
//! The first byte of a key is its keyspace in the storage engine:
//!
//! ```text
//! key space
//! ├─ 'd'  data, versioned: what transactions read and write; ranges are spans of it
//! │   └─ tenant (1 byte)
//! │       ├─ 's'  catalog version, and the rows of the SQL catalog:  's' index id, columns…, suffix
//! │       ├─ 't'  rows of tables and entries of their indexes:       't' index id, columns…, suffix
//! │       └─ 'k'  plain keys and values:                             'k' bytes
//! ├─ 'i'  intents: the key that they stand on follows
//! ├─ 'r'  the root range's own rows: cluster id, nodes, directory, counters, oracle window, history
//! ├─ 's'  range state: range id, kind
//! └─ 'l'  this store's own metadata, not replicated
//! ```
//!
//! [`sql`] makes data keys, [`root`] the root range's, [`range`] those of ranges and intents, [`store`] the store's,
//! [`encode`] the columns. A [`Span`] is a half-open interval of keys.

pub mod encode;
pub mod range;
pub mod root;
pub mod span;
pub mod sql;
pub mod store;

pub use span::Span;

/// First bytes of keys: the keyspaces of the storage engine.
pub mod keyspace {
    /// What transactions read and write; versioned.
    pub const DATA: u8 = b'd';
    /// Provisional writes, one per key.
    pub const INTENTS: u8 = b'i';
    /// The root range's own rows.
    pub const ROOT: u8 = b'r';
    /// Replicated state of ranges.
    pub const RANGE: u8 = b's';
    /// Metadata of this store.
    pub const STORE: u8 = b'l';
}
