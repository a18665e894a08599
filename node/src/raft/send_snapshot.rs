//! Sends a snapshot to a follower: head, chunks of rows, end, on a stream of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use proto::{NodeService, Status, v1};

use super::snapshot::Outgoing;
use super::types::{SnapshotMeta, Vote};
use super::wire::{FORMAT, log_id_to_wire, membership_to_wire, vote_to_wire};

/// How long the transport may take no further chunk: what it holds of them already, at 1 Mbit/s. A peer that is gone shows
/// sooner, as a broken connection.
const CHUNK_MAX: Duration = Duration::from_secs(120);

/// How long the receiver may take, after the last chunk, to flush what it has and to take the snapshot in. It cannot be
/// told to stop: sending again meanwhile would only be refused.
pub(super) const INSTALL_MAX: Duration = Duration::from_secs(600);

/// Sends it and returns the receiver's vote; nothing if for [`CHUNK_MAX`] no chunk was taken, or for [`INSTALL_MAX`] after
/// the last one no answer came.
pub(super) async fn send_snapshot(
    service: &dyn NodeService,
    target: v1::RaftTarget,
    vote: &Vote,
    meta: &SnapshotMeta,
    outgoing: Outgoing,
) -> Result<Option<v1::RaftVote>, Status> {
    let head = v1::RaftSnapshotChunk {
        target: Some(target),
        vote: Some(vote_to_wire(vote)),
        head: Some(v1::RaftSnapshotHead {
            format: FORMAT,
            last_log_id: meta.last_log_id.as_ref().map(log_id_to_wire),
            membership_log_id: meta.last_membership.log_id().as_ref().map(log_id_to_wire),
            membership: Some(membership_to_wire(meta.last_membership.membership())),
            spans: outgoing
                .spans()
                .iter()
                .map(|span| v1::RaftSnapshotSpan {
                    start: span.start.clone(),
                    end: span.end.clone(),
                    versioned: span.versioned,
                })
                .collect(),
        }),
        ..Default::default()
    };
    let taken = Arc::new(Taken::default());
    let mut sent =
        std::pin::pin!(service.raft_snapshot(Box::pin(chunks(head, outgoing, Arc::clone(&taken)))));
    let mut seen = 0;
    loop {
        let patience = if taken.all.load(Ordering::Relaxed) { INSTALL_MAX } else { CHUNK_MAX };
        match env::clock::timeout(patience, sent.as_mut()).await {
            Ok(response) => return Ok(response?.vote),
            Err(_) => {
                let now = taken.chunks.load(Ordering::Relaxed);
                if now == seen {
                    return Ok(None);
                }
                seen = now;
            }
        }
    }
}

/// What the transport has taken.
#[derive(Default)]
struct Taken {
    chunks: AtomicU64,
    /// Nothing is left.
    all: AtomicBool,
}

enum Left {
    Head(Box<v1::RaftSnapshotChunk>, Outgoing),
    Rows { outgoing: Outgoing, chunks: u64, rows: u64 },
}

/// The chunks in their order. What cannot be read ends the stream early: the receiver misses the end.
fn chunks(
    head: v1::RaftSnapshotChunk,
    outgoing: Outgoing,
    taken: Arc<Taken>,
) -> impl Stream<Item = v1::RaftSnapshotChunk> + Send {
    futures::stream::unfold(Some(Left::Head(Box::new(head), outgoing)), move |left| {
        let taken = Arc::clone(&taken);
        async move {
            taken.chunks.fetch_add(1, Ordering::Relaxed);
            match left? {
                Left::Head(head, outgoing) => {
                    Some((*head, Some(Left::Rows { outgoing, chunks: 0, rows: 0 })))
                }
                Left::Rows { mut outgoing, chunks, rows } => {
                    let read = env::task::blocking(move || {
                        let chunk = outgoing.next_chunk();
                        (outgoing, chunk)
                    });
                    let (outgoing, chunk) = match read.await {
                        Ok((outgoing, Ok(chunk))) => (outgoing, chunk),
                        Ok((_, Err(error))) => {
                            tracing::error!(%error, "a snapshot cannot be read");
                            return None;
                        }
                        Err(_) => return None,
                    };
                    Some(match chunk {
                        Some(chunk) => {
                            let message = v1::RaftSnapshotChunk {
                                crc32c: crc32c::crc32c(&chunk.rows),
                                rows: chunk.rows,
                                ..Default::default()
                            };
                            let left = Left::Rows { outgoing, chunks: chunks + 1, rows: rows + chunk.count };
                            (message, Some(left))
                        }
                        None => {
                            taken.all.store(true, Ordering::Relaxed);
                            let end = Some(v1::RaftSnapshotEnd { chunks, rows });
                            (v1::RaftSnapshotChunk { end, ..Default::default() }, None)
                        }
                    })
                }
            }
        }
    })
}
