//! What a range's leader keeps in memory. All of it belongs to one term, and ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::admission::Admitted;
use super::gate::CatalogGate;
use super::inflight::{InFlight, Mark, TermEnded};
use super::latches::{LatchGuard, Latches};
use super::locks::{Locks, TxnId};
use super::memory::ReadMemory;
use super::room::Room;

/// One term of a range's leader.
///
/// # Invariants
///
/// - It is made only after the term's blank entry is applied, while the lease holds, with a read memory whose floor is a
///   timestamp that was requested after the lease began: earlier leaders served nothing above it.
/// - A commit's mark, latches and locks stand until it is applied here, or was certainly never proposed, or the term
///   ends.
pub(crate) struct Serving {
    /// The term.
    pub(crate) term: u64,
    /// What was read.
    pub(crate) memory: ReadMemory,
    /// What is being committed.
    pub(crate) inflight: InFlight,
    /// Who evaluates.
    pub(crate) latches: Arc<Latches>,
    /// Who locks.
    pub(crate) locks: Arc<Locks>,
    /// The schema in force.
    pub(crate) gate: CatalogGate,
    /// Room in the log.
    pub(crate) room: Room,
    staged: AtomicU64,
    /// The safe point is being raised.
    pub(crate) raising: AtomicBool,
    proposals: Mutex<Proposals>,
    lapse: Notify,
}

#[derive(Default)]
struct Proposals {
    next: u64,
    standing: BTreeMap<u64, Proposal>,
    /// Taken by apply, readable soon.
    applying: Vec<u64>,
    ended: bool,
}

/// What stands while a commit is under way.
pub(crate) struct Proposal {
    /// The keys that it writes.
    pub(crate) keys: Vec<Bytes>,
    /// Their mark.
    pub(crate) mark: Arc<Mark>,
    /// Their latches, held by being here.
    pub(crate) _latch: LatchGuard,
    /// The transaction, whose locks go when the commit is applied.
    pub(crate) txn: TxnId,
    /// Whether it writes the catalog version.
    pub(crate) changes_catalog: bool,
    /// Its share of what may be under way, held by being here.
    pub(crate) _admitted: Admitted,
}

impl Serving {
    /// A term that starts with everything read at `floor`.
    pub(crate) fn new(term: u64, floor: u64) -> Self {
        Self {
            term,
            memory: ReadMemory::new(floor),
            inflight: InFlight::new(),
            latches: Arc::default(),
            locks: Arc::default(),
            gate: CatalogGate::new(),
            room: Room::default(),
            staged: AtomicU64::new(0),
            raising: AtomicBool::new(false),
            proposals: Mutex::default(),
            lapse: Notify::new(),
        }
    }

    /// The leader cannot prove any more that it leads: whoever waits is told, so that it may ask elsewhere. The term may go
    /// on: what was proposed stands.
    pub(crate) fn lapse(&self) {
        self.lapse.notify_waiters();
    }

    /// Completes at the next [`Serving::lapse`].
    pub(crate) async fn lapsed(&self) {
        self.lapse.notified().await;
    }

    /// Lets a commit stand. Until the guard is disarmed, dropping it takes the commit back.
    pub(crate) fn stand(self: &Arc<Self>, proposal: Proposal) -> Result<ProposalGuard, TermEnded> {
        let mut proposals = self.proposals.lock();
        if proposals.ended {
            drop(proposals);
            self.inflight.leave(proposal.keys.iter(), &proposal.mark);
            return Err(TermEnded);
        }
        let sequence = proposals.next;
        proposals.next += 1;
        proposals.standing.insert(sequence, proposal);
        Ok(ProposalGuard { serving: self.clone(), sequence, armed: true })
    }

    /// A number for a commit that goes into the log in pieces.
    pub(crate) fn number_staged(&self) -> u64 {
        self.staged.fetch_add(1, Ordering::Relaxed)
    }

    /// The commit was certainly not proposed.
    pub(crate) fn abandon(&self, sequence: u64) {
        if let Some(proposal) = self.take(sequence) {
            self.inflight.leave(proposal.keys.iter(), &proposal.mark);
        }
    }

    /// Apply has taken the commit.
    pub(crate) fn applying(&self, sequence: u64) {
        self.proposals.lock().applying.push(sequence);
    }

    /// All that apply has taken so far can be read.
    pub(crate) fn applied(&self) {
        let finished = std::mem::take(&mut self.proposals.lock().applying);
        for sequence in finished {
            let Some(proposal) = self.take(sequence) else { continue };
            if proposal.changes_catalog {
                self.gate.forget();
            }
            self.inflight.leave(proposal.keys.iter(), &proposal.mark);
            self.locks.release_all(&proposal.txn);
        }
    }

    /// Ends the term: whoever waits is told.
    pub(crate) fn end(&self) {
        let standing = {
            let mut proposals = self.proposals.lock();
            proposals.ended = true;
            std::mem::take(&mut proposals.standing)
        };
        self.inflight.end();
        self.latches.end();
        self.locks.end();
        self.room.end();
        drop(standing);
    }

    /// Whether the term has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.proposals.lock().ended
    }

    fn take(&self, sequence: u64) -> Option<Proposal> {
        self.proposals.lock().standing.remove(&sequence)
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("term", &self.term).finish_non_exhaustive()
    }
}

/// A commit that stands and is not proposed yet: taken back when this is dropped.
pub(crate) struct ProposalGuard {
    serving: Arc<Serving>,
    sequence: u64,
    armed: bool,
}

impl ProposalGuard {
    /// The commit's number within the term.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The commit was proposed: from now on it stands by itself.
    pub(crate) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for ProposalGuard {
    fn drop(&mut self) {
        if self.armed {
            self.serving.abandon(self.sequence);
        }
    }
}
