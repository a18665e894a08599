//! Scans: pairs that are streamed while they are read, no faster than the client takes them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::kv::{Pair, ScanResponse};
use env::trace::{self, Parent};
use expr::Row;
use tokio::sync::mpsc;

use super::answers::{Answers, LastWord, answers};
use super::holdings::Kv;
use super::pairs::bytes;
use super::place::Place;
use super::status;
use crate::door::note_failure;

/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 256;

/// A message is sent once it has so many bytes.
const MESSAGE_BYTES: usize = 128 << 10;

/// Messages that wait for the client.
const MESSAGES_AHEAD: usize = 2;

/// How long a client may take for a message.
const PATIENCE: Duration = Duration::from_secs(30);

type Sender = mpsc::Sender<ScanResponse>;

/// What a scan answers; it works where it is placed, and leaves the place at its end.
pub(super) fn stream(
    kv: &Arc<Kv>,
    place: Place,
    statement: &'static str,
    values: Row,
    parent: Option<Parent>,
) -> Answers<ScanResponse> {
    let (sender, last_word, answers) = answers(MESSAGES_AHEAD);
    let pool = kv.door.shared.options.pool.clone();
    pool.spawn(&kv.scope, run(place, statement, values, (sender, last_word), parent));
    answers
}

async fn run(
    mut place: Place,
    statement: &'static str,
    values: Row,
    (sender, last_word): (Sender, LastWord),
    parent: Option<Parent>,
) {
    let is_alone = matches!(place, Place::Alone(..));
    let mut span = place.work().begin_trace("kv", parent);
    let context = span.as_ref().map(|span| span.context().clone());
    let read = trace::under(context, pin!(read(&mut place, statement, values, &sender))).await;
    if let Err(error) = &read {
        note_failure(&mut span, error);
    }
    if matches!(read, Ok(Sent::Nobody)) {
        // Who is there still is not to take what it has read for all.
        last_word.say(status::refusal("57014", "the client has not read what it was told for too long"));
        if is_alone {
            // What is left of the statement goes with the session.
            return;
        }
    }
    let work = place.work();
    let mut outcome = work.end(read).await;
    drop(span);
    if let Err(error) = work.settle().await {
        outcome = Err(error);
    }
    place.give_back();
    match outcome {
        Ok(Sent::Everything) => last_word.all_is_told(),
        Ok(Sent::Nobody) => {}
        Err(error) => last_word.say(status::of(&error)),
    }
    // Now it is heard.
    drop(sender);
}

/// What has been sent.
enum Sent {
    Everything,
    /// Not all, and the rest to nobody: the client is gone, or does not read.
    Nobody,
}

async fn read(
    place: &mut Place,
    statement: &'static str,
    values: Row,
    sender: &Sender,
) -> Result<Sent, sql::Error> {
    let is_alone = matches!(place, Place::Alone(..));
    let (work, statements) = (place.work(), [statement]);
    tokio::select! {
        biased;
        ready = work.make_ready(&statements) => ready?,
        // Within a transaction nobody waits for a turn, and what is left half way is the transaction.
        () = sender.closed(), if is_alone => return Ok(Sent::Nobody),
    }
    let mut run = work.start(statement, values).await?;
    let (mut message, mut size) = (ScanResponse::default(), 0);
    loop {
        let rows = work.next(&mut run, ROWS_AT_ONCE).await?;
        let is_over = rows.is_none();
        for row in rows.into_iter().flatten() {
            let mut row = row.into_iter();
            let pair = (bytes(row.next()), bytes(row.next()));
            let (Ok(key), Ok(value)) = pair else {
                work.leave(run).await?;
                return Err(sql::Error::new("42804", "the table kv.pairs is not one of bytes"));
            };
            size += key.len() + value.len();
            message.pairs.push(Pair { key, value });
            if size >= MESSAGE_BYTES {
                work.tell_started(&run);
                work.settle().await?;
                work.rest();
                let is_sent = send(sender, std::mem::take(&mut message)).await;
                work.go_on();
                if !is_sent {
                    work.leave(run).await?;
                    return Ok(Sent::Nobody);
                }
                size = 0;
            }
        }
        if is_over {
            break;
        }
    }
    work.settle().await?;
    if !message.pairs.is_empty() && !send(sender, message).await {
        return Ok(Sent::Nobody);
    }
    Ok(Sent::Everything)
}

/// False: the client is gone, or does not read.
async fn send(sender: &Sender, message: ScanResponse) -> bool {
    matches!(env::clock::timeout(PATIENCE, sender.send(message)).await, Ok(Ok(())))
}
