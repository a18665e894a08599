//! The state of a sequence as a row.
//!
//! ```text
//! key   = the prefix of the sequence's own index id, suffix 0
//! value = protobuf StateRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         last, is_called        the last number that somebody may have been given
//!         generation             how often setval has set it: blocks that were drawn before are void
//! ```
//!
//! Without a row the state is what the sequence's descriptor says. A row is written by transactions that write nothing else.

use bytes::Bytes;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};
use prost::Message;

use crate::catalog::IndexId;
use crate::catalog::object::{SequenceDescriptor, SequenceState};
use crate::error::{Error, Result};

/// The newest version of the row that this code reads, and the one it writes.
const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct StateRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(sint64, tag = "2")]
    last: i64,
    #[prost(bool, tag = "3")]
    is_called: bool,
    #[prost(uint64, tag = "4")]
    generation: u64,
}

/// A state, and how often it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) state: SequenceState,
    pub(super) generation: u64,
}

/// The key of the row.
pub(super) fn key(index: IndexId) -> Bytes {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, index).to_vec();
    key.push(SUFFIX_ROW);
    key.into()
}

pub(super) fn encode(stored: Stored) -> Bytes {
    let SequenceState { last, is_called } = stored.state;
    StateRecord { version: VERSION, last, is_called, generation: stored.generation }.encode_to_vec().into()
}

/// What the row says, or the descriptor where there is none. XX001 if it is damaged, 0A000 if it is newer than this code.
pub(super) fn decode(value: Option<&Bytes>, sequence: &SequenceDescriptor) -> Result<Stored> {
    let Some(value) = value else { return Ok(Stored { state: sequence.initial, generation: 0 }) };
    let damaged = |why: String| Error::new("XX001", format!("the state of a sequence is damaged: {why}"));
    let record = StateRecord::decode(value.as_ref()).map_err(|error| damaged(error.to_string()))?;
    if record.version > VERSION {
        let message =
            format!("the state of a sequence was written by a newer version (format {})", record.version);
        return Err(Error::new("0A000", message));
    }
    if !(sequence.min..=sequence.max).contains(&record.last) {
        return Err(damaged(format!("{} is out of its bounds", record.last)));
    }
    let state = SequenceState { last: record.last, is_called: record.is_called };
    Ok(Stored { state, generation: record.generation })
}
