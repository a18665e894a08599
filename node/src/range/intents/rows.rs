//! The rows of intents, decisions and rollback markers, as they are stored.

use bytes::Bytes;
use prost::Message;
use proto::v1::{DecisionRow, IntentRow, RollbackRow, Span};

use crate::range::locks::TxnId;
use crate::range::refusal::Refusal;
use crate::range::version::KEY_BYTES_MAX;

/// The format of the rows.
const FORMAT: u32 = 1;

/// A row that cannot be read, or is of a newer format.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a row of the intents cannot be read")]
pub(crate) struct RowError;

impl From<RowError> for Refusal {
    fn from(error: RowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Whether the rows that stand under a data key, whatever they are, are keys that the engine takes: each byte 0 counts twice.
pub(crate) fn has_room(key: &[u8]) -> bool {
    keys::range::rollback(key, u64::MAX).len() <= KEY_BYTES_MAX
}

/// An intent as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) txn: TxnId,
    pub(crate) start_timestamp: u64,
    pub(crate) minimum: u64,
    pub(crate) primary: Bytes,
    pub(crate) others: Vec<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) changes_key: bool,
    /// Which flush of a large transaction has written it; 0: it is none.
    pub(crate) flush: u64,
}

/// An intent as a row.
pub(crate) fn intent_row(intent: Intent) -> Vec<u8> {
    let row = IntentRow {
        format: FORMAT,
        txn_id: Bytes::copy_from_slice(&intent.txn),
        start_timestamp: intent.start_timestamp,
        minimum: intent.minimum,
        primary: intent.primary,
        others: intent.others,
        value: intent.value,
        changes_key: intent.changes_key,
        flush: intent.flush,
    };
    row.encode_to_vec()
}

/// A row as an intent.
pub(crate) fn read_intent(row: Bytes) -> Result<Intent, RowError> {
    let row = IntentRow::decode(row).map_err(|_| RowError)?;
    let txn = row.txn_id.as_ref().try_into().map_err(|_| RowError)?;
    if row.format > FORMAT || row.start_timestamp == 0 || row.minimum == 0 {
        return Err(RowError);
    }
    let IntentRow { start_timestamp, minimum, primary, others, value, changes_key, flush, .. } = row;
    Ok(Intent { txn, start_timestamp, minimum, primary, others, value, changes_key, flush })
}

/// Whether a row of the intents is one of what may be committed at or below `at`.
pub(crate) fn is_in_the_way(key: &[u8], row: Bytes, at: u64) -> Result<bool, RowError> {
    match keys::range::intent_row(key) {
        Some((_, keys::range::IntentRow::Intent)) => Ok(read_intent(row)?.minimum <= at),
        // What they are about is not committed any more, or has its intents elsewhere.
        Some(_) => Ok(false),
        None => Err(RowError),
    }
}

/// A decision as a row: the transaction was committed.
pub(crate) fn decision_row(
    txn: &TxnId,
    commit_timestamp: u64,
    others: Vec<Bytes>,
    spans: Vec<Span>,
) -> Vec<u8> {
    let txn_id = Bytes::copy_from_slice(txn);
    DecisionRow { format: FORMAT, txn_id, commit_timestamp, others, spans }.encode_to_vec()
}

/// A row as a decision: the transaction, its commit timestamp, its keys in other ranges, its spans if it is a large one.
pub(crate) fn read_decision(row: Bytes) -> Result<(TxnId, u64, Vec<Bytes>, Vec<Span>), RowError> {
    let row = DecisionRow::decode(row).map_err(|_| RowError)?;
    let txn = row.txn_id.as_ref().try_into().map_err(|_| RowError)?;
    if row.format > FORMAT || row.commit_timestamp == 0 {
        return Err(RowError);
    }
    Ok((txn, row.commit_timestamp, row.others, row.spans))
}

/// A rollback marker as a row.
pub(crate) fn rollback_row() -> Vec<u8> {
    RollbackRow { format: FORMAT }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_comes_back_as_it_was() {
        for value in [None, Some(Bytes::new()), Some(Bytes::from_static(b"value"))] {
            let intent = Intent {
                txn: [7; 16],
                start_timestamp: 10,
                minimum: 20,
                primary: Bytes::from_static(b"da"),
                others: vec![Bytes::from_static(b"db")],
                value,
                changes_key: true,
                flush: 3,
            };
            assert_eq!(read_intent(intent_row(intent.clone()).into()).unwrap(), intent);
        }
        assert!(read_intent(Bytes::from_static(b"nonsense")).is_err() && read_intent(Bytes::new()).is_err());
    }

    #[test]
    fn a_read_below_an_intents_minimum_passes_it() {
        let intent = Intent {
            txn: [7; 16],
            start_timestamp: 10,
            minimum: 20,
            primary: Bytes::from_static(b"da"),
            others: Vec::new(),
            value: None,
            changes_key: false,
            flush: 0,
        };
        let row = Bytes::from(intent_row(intent));
        let is_in_the_way = |at| is_in_the_way(&keys::range::intent(b"da"), row.clone(), at).unwrap();
        assert!(!is_in_the_way(19) && is_in_the_way(20));
        let marker = Bytes::from(rollback_row());
        assert!(!super::is_in_the_way(&keys::range::rollback(b"da", 10), marker.clone(), 30).unwrap());
        assert!(super::is_in_the_way(b"da", marker, 30).is_err());
    }

    #[test]
    fn a_key_that_the_engine_takes_may_be_too_long_for_its_rows() {
        assert!(has_room(&[1; KEY_BYTES_MAX - 12]) && has_room(&[0; KEY_BYTES_MAX / 2 - 6]));
        assert!(!has_room(&[1; KEY_BYTES_MAX - 11]) && !has_room(&[0; KEY_BYTES_MAX / 2 - 5]));
    }

    #[test]
    fn a_decision_comes_back_as_it_was() {
        let others = vec![Bytes::from_static(b"db")];
        let spans = vec![Span { start: Bytes::from_static(b"d"), end: Bytes::from_static(b"e") }];
        let row = decision_row(&[7; 16], 20, others.clone(), spans.clone());
        assert_eq!(read_decision(row.into()).unwrap(), ([7; 16], 20, others, spans));
        assert!(read_decision(Bytes::new()).is_err());
    }
}
