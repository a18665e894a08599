//! Rows outside of memory: what a step of a plan holds beyond its share goes to temporary files and comes back in its time.
//!
//! - [`Stream`]: rows one after the other, written once, read as often as one likes; what sorted runs and partitions are made of;
//! - [`Partitions`]: streams among which rows are divided by a hash;
//! - [`StoredRows`]: rows that are kept as they come, the first of them in memory.
//!
//! A step that may hold no more than its share ([`super::memory::Memory::share`]) always holds one row at least, so that it gets
//! on whatever the share is.

mod partitions;
mod stored_rows;
mod stream;

pub(crate) use partitions::Partitions;
pub(crate) use stored_rows::{Cursor, StoredRows};
pub(crate) use stream::{Stream, StreamReader, StreamWriter, create_file};
