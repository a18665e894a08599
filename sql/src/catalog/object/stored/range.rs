//! What the row of a range holds.
//!
//! ```text
//! subtype      oid of the type of its bounds
//! class        operator class, if it is not the one that the type has anyway
//! collation    if it is not that of the type
//! diff         oid of the function that says how far bounds are apart; 0 = none
//! multirange   what its multirange is called
//! ```

use prost::Message;

use super::super::Kinds;
use super::super::types::RangeDescriptor;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRecord {
    #[prost(uint32, tag = "1")]
    subtype: u32,
    #[prost(string, optional, tag = "2")]
    class: Option<String>,
    #[prost(string, optional, tag = "3")]
    collation: Option<String>,
    #[prost(uint32, tag = "4")]
    diff: u32,
    #[prost(string, tag = "5")]
    multirange: String,
}

pub(super) fn record(own: &RangeDescriptor) -> RangeRecord {
    RangeRecord {
        subtype: own.subtype.oid(),
        class: own.class.clone(),
        collation: own.collation.clone(),
        diff: own.diff,
        multirange: own.multirange.clone(),
    }
}

/// `None`: the type of its bounds is unknown.
pub(super) fn descriptor(record: RangeRecord, kinds: &Kinds) -> Option<RangeDescriptor> {
    Some(RangeDescriptor {
        subtype: kinds.find(record.subtype)?,
        class: record.class,
        collation: record.collation,
        diff: record.diff,
        multirange: record.multirange,
    })
}
