//! Reading an encoded batch, where it lies.

use bytes::{Bytes, BytesMut};

use super::{
    DELETE, DELETE_AT, DELETE_RANGE, KIND_SHIFT, LONG, MANY, Operation, PUT, PUT_AT, SEQUENCE, VERSION,
};
use crate::coding::{u64_at, varint};
use crate::entry::Note;
use crate::error::{Error, Result};
use crate::options::Sequence;

/// The operations of a batch that was encoded by [`super::WriteBatch::encode`]: checked, and where they lay.
///
/// # Invariants
///
/// - What [`Self::decode`] gives can be read to its end, and is as much as is said.
#[derive(Clone, Debug, Default)]
pub struct EncodedBatch {
    pub(super) operations: Bytes,
    pub(super) count: u32,
}

impl EncodedBatch {
    /// Reads what [`super::WriteBatch::encode`] has made, without a copy; what is cut off, too long or says what no batch says is
    /// an error.
    pub fn decode(bytes: Bytes) -> Result<Self> {
        match Self::of_record(bytes)? {
            (Some(_), _) => Err(malformed("a sequence outside of the log")),
            (None, batch) => batch.for_each(|_| Ok::<_, Error>(())).map(|()| batch),
        }
    }

    /// The same, with all its versions moved to `timestamp`.
    pub fn decode_at(mut bytes: BytesMut, timestamp: u64) -> Result<Self> {
        let mut places = Vec::new();
        let (head, operations) = decode(&bytes)?;
        each(operations, head.count, |_, operation| {
            if let OperationRef::PutAt { key, .. } | OperationRef::DeleteAt { key, .. } = operation {
                places.push(key.as_ptr().addr() - bytes.as_ptr().addr() + key.len());
            }
            Ok(())
        })?;
        for place in places {
            let stored = bytes.iter_mut().skip(place);
            stored.zip(timestamp.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Self::decode(bytes.freeze())
    }

    /// Reads the head of a record of the write-ahead log, whose operations are checked only when they are read.
    pub(crate) fn of_record(bytes: Bytes) -> Result<(Option<Sequence>, Self)> {
        let (Head { sequence, count }, operations) = decode(&bytes)?;
        let operations = bytes.slice_ref(operations);
        Ok((sequence, Self { operations, count }))
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Calls `take` with each operation, in order.
    pub fn for_each<'a, E: From<Error>>(
        &'a self,
        mut take: impl FnMut(OperationRef<'a>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        each(&self.operations, self.count, |_, operation| take(operation))
    }

    /// Calls `take` with the bytes that all lie in and each operation, whose parts are slices of them, and its number.
    pub(crate) fn for_each_in(
        &self,
        mut take: impl FnMut(&Bytes, u32, OperationRef<'_>) -> Result<()>,
    ) -> Result<()> {
        each(&self.operations, self.count, |number, operation| take(&self.operations, number, operation))
    }
}

/// One operation, where it lies. What each does is said at [`Operation`].
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the operations")]
pub enum OperationRef<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    PutAt { key: &'a [u8], timestamp: u64, value: &'a [u8] },
    DeleteAt { key: &'a [u8], timestamp: u64, note: &'a [u8] },
    DeleteRange { start: &'a [u8], end: &'a [u8] },
}

impl OperationRef<'_> {
    /// The same as slices of the bytes that it lies in.
    fn share(&self, bytes: &Bytes) -> Option<Operation> {
        let part = |part: &[u8]| bytes.slice_ref(part);
        Some(match *self {
            Self::Put { key, value } => Operation::Put { key: part(key), value: part(value) },
            Self::Delete { key } => Operation::Delete { key: part(key) },
            Self::PutAt { key, timestamp, value } => {
                Operation::PutAt { key: part(key), timestamp, value: part(value) }
            }
            Self::DeleteAt { key, timestamp, note } => {
                Operation::DeleteAt { key: part(key), timestamp, note: Note::new(note)? }
            }
            Self::DeleteRange { start, end } => Operation::DeleteRange { start: part(start), end: part(end) },
        })
    }
}

/// Calls `take` with each of so many operations, which must be all, and its number.
pub(super) fn each<'a, E: From<Error>>(
    mut rest: &'a [u8],
    count: u32,
    mut take: impl FnMut(u32, OperationRef<'a>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    for number in 0..count {
        take(number, next(&mut rest)?)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(malformed("more operations than it says").into()) }
}

/// The next operation of an encoded batch; `rest` moves past it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<OperationRef<'a>> {
    borrow(rest).ok_or_else(|| malformed("an operation is cut off or unknown"))
}

fn borrow<'a>(rest: &mut &'a [u8]) -> Option<OperationRef<'a>> {
    fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (taken, left) = rest.split_at_checked(length)?;
        *rest = left;
        Some(taken)
    }
    fn prefixed<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(take_varint(rest)?).ok()?;
        take(rest, length)
    }
    let head = *take(rest, 1)?.first()?;
    let key = match head & LONG {
        LONG => prefixed(rest).filter(|key| key.len() >= usize::from(LONG))?,
        length => take(rest, usize::from(length))?,
    };
    Some(match head >> KIND_SHIFT {
        PUT => OperationRef::Put { key, value: prefixed(rest)? },
        DELETE => OperationRef::Delete { key },
        PUT_AT => {
            let timestamp = u64_at(take(rest, 8)?, 0)?;
            OperationRef::PutAt { key, timestamp, value: prefixed(rest)? }
        }
        DELETE_AT => {
            let timestamp = u64_at(take(rest, 8)?, 0)?;
            let note = prefixed(rest).filter(|note| note.len() <= Note::BYTES_MAX)?;
            OperationRef::DeleteAt { key, timestamp, note }
        }
        DELETE_RANGE => OperationRef::DeleteRange { start: key, end: prefixed(rest)? },
        _ => return None,
    })
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut at = 0;
    let value = varint(rest, &mut at)?;
    *rest = rest.get(at..)?;
    Some(value)
}

/// What an encoded batch says before its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of its first operation; None: it follows that of the record before, if it is one of a log.
    pub(crate) sequence: Option<Sequence>,
    pub(crate) count: u32,
}

/// The head of an encoded batch.
pub(crate) fn head(bytes: &[u8]) -> Result<Head> {
    decode(bytes).map(|(head, _)| head)
}

/// The head of an encoded batch, and its operations.
fn decode(bytes: &[u8]) -> Result<(Head, &[u8])> {
    let short = || malformed("shorter than its header");
    let (&head, mut rest) = bytes.split_first().ok_or_else(short)?;
    if head >> 4 != VERSION {
        return Err(Error::Invalid(format!("write batch of unknown version {}", head >> 4)));
    }
    let sequence = match head & SEQUENCE {
        0 => None,
        _ => Some(take_varint(&mut rest).ok_or_else(short)?),
    };
    let count = match head & MANY {
        MANY => {
            let count = take_varint(&mut rest).and_then(|count| u32::try_from(count).ok());
            count.filter(|count| *count >= u32::from(MANY)).ok_or_else(short)?
        }
        few => u32::from(few),
    };
    Ok((Head { sequence, count }, rest))
}

/// Iterator over the operations of a batch.
#[derive(Clone, Debug)]
pub struct Operations {
    rest: Bytes,
}

impl Operations {
    pub(super) fn of(operations: Bytes) -> Self {
        Self { rest: operations }
    }
}

impl Iterator for Operations {
    type Item = Result<Operation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let mut rest = &bytes[..];
        // After an error there is nothing more.
        let unknown = || malformed("an operation is unknown");
        let operation = next(&mut rest).and_then(|operation| operation.share(&bytes).ok_or_else(unknown));
        if operation.is_ok() {
            self.rest = bytes.slice_ref(rest);
        }
        Some(operation)
    }
}

fn malformed(what: &str) -> Error {
    Error::Invalid(format!("malformed write batch: {what}"))
}
