//! Tables: immutable sorted files, each of one keyspace.
//!
//! ```text
//! table      := (block | zeros)* | envelope? | footer    blocks in any order; found by handles from the footer down
//! block      := payload | compression u8 | crc32c u32    crc over payload, compression, and the block's offset as u64
//!   version 2: payload and compression are sealed, a tag of 16 bytes follows them; the crc is over what is sealed
//!   payload and compression are drawn in [`codec`]
//! footer     := properties handle (offset u64, length u32) | version u32 | reserved [0; 4] | crc32c u32 | "NUNATAB\0"
//! handle     := offset varint | length varint            of a whole block, compression byte and checksum included
//! ```
//! Version 1 is not encrypted; version 2 has an envelope (see [`crate::encryption`]) before its footer.
//!
//! Entries lie in two **sections**, each sorted by key ascending and timestamp descending: *current* has of each key
//! the newest version in this table, *history* all the others. Reads at 'now' never touch history; an entry of the
//! current section says by a flag whether its key has history here. Without versions only *current* is used.
//!
//! Each section has a two-level index: partitions of (last key of block → handle, timestamps), and above them a top
//! block of (last key of partition → handle). The layout inside entry and index blocks is drawn in [`crate::block`], the
//! filter's in [`filter`]; zeros may stand between blocks ([`fit`]). The range deletes of a table concern older tables
//! only, never entries of its own.
//!
//! # Invariants
//! - All versions of a key that a sorted run holds are in one table: tables are cut between keys.
//! - The bounds `start` and `end` (exclusive) enclose every key and every range delete of the table.
//! - A table's file is never written after its sync, and its number is never used again.

pub(crate) mod ahead;
pub(crate) mod builder;
mod codec;
pub(crate) mod cursor;
pub(crate) mod file;
pub(crate) mod filter;
mod fit;
pub(crate) mod properties;

#[cfg(test)]
mod tests;
