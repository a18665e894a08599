//! Watching: changes of pairs that are streamed as they are committed, no faster than the client takes them
//! (`door::watching` finds them).

use std::sync::Arc;
use std::time::Duration;

use api::kv::{Change, WatchRequest, WatchResponse};
use bytes::Bytes;
use expr::{Datum, TypeKind};
use sql::Error;
use tokio::sync::mpsc;
use tonic::Status;

use super::answers::{Answers, LastWord, answers};
use super::holdings::Kv;
use super::pairs::{self, bytes, key};
use super::place::Call;
use super::status;
use crate::door::{Seen, Subject, Told, Wanted, Watching, behind_prefix, stopping};

/// The table of pairs.
static PAIRS: Subject =
    Subject { door: "kv", schema: "kv", table: "pairs", key: TypeKind::Bytea, statement: pairs::WATCH };

/// A message is sent once it has so many bytes.
const MESSAGE_BYTES: usize = 128 << 10;

/// Messages that wait for the client.
const MESSAGES_AHEAD: usize = 2;

/// How long a client may take for a message: who is slow holds up itself alone.
const PATIENCE: Duration = Duration::from_secs(300);

type Sender = mpsc::Sender<WatchResponse>;

/// What a request asks for: a span, all keys with a prefix, or one.
pub(super) fn wanted(request: WatchRequest) -> Result<Wanted, Status> {
    let WatchRequest { start, end, since, key: one, prefix } = request;
    let has_span = !start.is_empty() || !end.is_empty();
    let (start, end) = match (one, prefix) {
        (None, None) if end.is_empty() => (start, None),
        (None, None) => {
            key(end.clone())?;
            (start, Some(end))
        }
        (Some(one), None) if !has_span => {
            let mut behind = one.to_vec();
            behind.push(0);
            (one, Some(Bytes::from(behind)))
        }
        (None, Some(prefix)) if !has_span => {
            let behind = behind_prefix(&prefix);
            (prefix, behind)
        }
        _ => {
            let message = "a key, a prefix or a span is watched, not two of them";
            return Err(status::refusal("22023", message));
        }
    };
    if end.as_ref().is_some_and(|end| *end <= start) {
        return Err(status::refusal("22023", "the span that is to be watched has no keys"));
    }
    // What is behind the longest key is no key itself.
    Ok(Wanted { start: key(start)?, end: end.map(Datum::Bytea), since })
}

/// A watch, and whose it is.
pub(super) struct Open {
    call: Call,
    watching: Watching,
}

/// Begins to watch, in a session of the caller's.
pub(super) async fn begin(kv: &Kv, call: Call, wanted: Wanted) -> Result<Open, Error> {
    let work = call.caller.work(&kv.door, &call.guest).await?;
    let received = call.caller.take_received(&work);
    let watching = Watching::begin(&kv.door, work, (&PAIRS, wanted), received, call.parent).await?;
    Ok(Open { call, watching })
}

/// What is streamed of a watch.
pub(super) fn stream(kv: &Arc<Kv>, open: Open) -> Answers<WatchResponse> {
    let (sender, last_word, answers) = answers(MESSAGES_AHEAD);
    let pool = kv.door.shared.options.pool.clone();
    pool.spawn(&kv.scope, run(kv.clone(), open, sender, last_word));
    answers
}

async fn run(kv: Arc<Kv>, mut open: Open, sender: Sender, last_word: LastWord) {
    let mut phase = kv.door.registry.phase();
    let error = tokio::select! {
        biased;
        () = stopping(&mut phase) => Some(Error::new("57P01", "the gateway is about to stop")),
        () = sender.closed() => None,
        told = open.tell_all(&sender) => Some(match told {
            Ok(()) => Error::new("57014", "the client has not read what it was told for too long"),
            Err(error) => error,
        }),
    };
    if let Some(error) = error {
        kv.door.metrics.errors.increment(1);
        tracing::debug!(message = %error.message, "a watch has ended");
        last_word.say(status::of(&error));
    }
    // Now it is heard.
    drop(sender);
    open.watching.close().await;
}

impl Open {
    /// Tells what changes until the client is gone, or does not read.
    async fn tell_all(&mut self, sender: &Sender) -> Result<(), Error> {
        loop {
            let Told { changes, resolved } = self.watching.next().await?;
            let (mut message, mut size) = (WatchResponse { changes: Vec::new(), resolved }, 0);
            for Seen { key, value, timestamp } in changes {
                let value = value.map(|value| bytes(Some(value))).transpose();
                let value =
                    value.map_err(|_| Error::new("42804", "the table kv.pairs is not one of bytes"))?;
                size += key.len() + value.as_ref().map_or(0, Bytes::len);
                message.changes.push(Change { key, value, timestamp });
                if size >= MESSAGE_BYTES {
                    size = 0;
                    if !send(sender, std::mem::take(&mut message)).await {
                        return Ok(());
                    }
                }
            }
            let is_empty = message.changes.is_empty() && message.resolved == 0;
            if !is_empty && !send(sender, message).await {
                return Ok(());
            }
            let work = self.watching.work();
            work.count_bytes(self.call.caller.take_received(work));
        }
    }
}

/// False: the client is gone, or does not read.
async fn send(sender: &Sender, message: WatchResponse) -> bool {
    matches!(env::clock::timeout(PATIENCE, sender.send(message)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_a_prefix_or_a_span_is_watched() {
        let bytes_of = |datum: Datum| match datum {
            Datum::Bytea(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        let of = |request| {
            let both = |wanted: Wanted| (bytes_of(wanted.start), wanted.end.map(bytes_of));
            wanted(request).map(both).map_err(|no| no.code())
        };
        let datum = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let (a, c) = (Bytes::from_static(b"a"), Bytes::from_static(b"c"));
        let everything = of(WatchRequest::default()).unwrap();
        assert_eq!(everything, (datum(b""), None));
        let span = WatchRequest { start: a.clone(), end: c.clone(), ..WatchRequest::default() };
        assert_eq!(of(span.clone()).unwrap(), (datum(b"a"), Some(datum(b"c"))));
        let one = WatchRequest { key: Some(a.clone()), ..WatchRequest::default() };
        assert_eq!(of(one).unwrap(), (datum(b"a"), Some(datum(b"a\0"))));
        let prefix = WatchRequest { prefix: Some(a.clone()), ..WatchRequest::default() };
        assert_eq!(of(prefix).unwrap(), (datum(b"a"), Some(datum(b"b"))));
        let two = WatchRequest { key: Some(c.clone()), ..span };
        let none = WatchRequest { start: c, end: a, ..WatchRequest::default() };
        let long = WatchRequest { end: vec![b'x'; (64 << 10) + 1].into(), ..WatchRequest::default() };
        for wrong in [two, none, long] {
            assert_eq!(of(wrong).unwrap_err(), tonic::Code::InvalidArgument);
        }
    }
}
