//! What a range's leader keeps in memory. All of it belongs to one term, and ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::admission::Admitted;
use super::barren::Barren;
use super::gate::CatalogGate;
use super::inflight::{InFlight, Mark, TermEnded};
use super::intents::{Change, Intents};
use super::key_list::KeyList;
use super::latches::{LatchGuard, Latches};
use super::locks::{Locks, TxnId};
use super::memory::ReadMemory;
use super::reservations::Reservations;
use super::room::Room;

/// Who watches what changes is expected to ask again within this.
const WATCHED: Duration = Duration::from_secs(5);

/// More than there are points up to which a range may forget: one, and one for each span that is kept for longer.
const POINTS_MAX: u64 = 1024;

/// One term of a range's leader, or a part of it: the range may freeze and thaw, or take another one over, and then the same
/// term is served anew.
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
    /// A timestamp that everything counted as read at when it began.
    pub(crate) began: u64,
    /// What was read.
    pub(crate) memory: ReadMemory,
    /// What is being committed.
    pub(crate) inflight: Arc<InFlight>,
    /// Who evaluates.
    pub(crate) latches: Arc<Latches>,
    /// Who locks.
    pub(crate) locks: Arc<Locks>,
    /// Where there is nothing to read.
    pub(crate) barren: Barren,
    /// What others have written provisionally.
    pub(crate) intents: Intents,
    /// Keys that are about to be prewritten.
    pub(crate) reservations: Reservations,
    /// The schema in force.
    pub(crate) gate: CatalogGate,
    /// Room in the log.
    pub(crate) room: Room,
    /// What is being given away to a new range.
    giving: Giving,
    /// Shared by all who serve one term, one after the other.
    staged: Arc<AtomicU64>,
    /// The safe point is being raised.
    pub(crate) raising: AtomicBool,
    /// What the range was last woken for, of what may be forgotten.
    followed: AtomicU64,
    /// Until then no timestamp is closed.
    closes_after: Mutex<Option<Instant>>,
    /// Until then who watches what changes is told nothing.
    tells_after: Mutex<Option<Instant>>,
    /// Somebody watches what changes, as far as is known until then.
    watched_until: Mutex<Option<Instant>>,
    /// Nothing of transactions that began at or below this is prewritten any more: they are about to be forgotten.
    barred: AtomicU64,
    proposals: Mutex<Proposals>,
    lapse: Notify,
    over: Notify,
}

/// The keys that a split gives away, from when it is about to be proposed until it is applied, or certain never to be.
#[derive(Default)]
struct Giving {
    active: AtomicBool,
    from: Mutex<Option<Bytes>>,
}

#[derive(Default)]
struct Proposals {
    next: u64,
    standing: BTreeMap<u64, Proposal>,
    /// Taken by apply, readable soon.
    applying: Vec<(u64, bool)>,
    ended: bool,
}

/// What stands while a commit is under way.
pub(crate) struct Proposal {
    /// The keys that it writes.
    pub(crate) keys: KeyList,
    /// Their mark.
    pub(crate) mark: Arc<Mark>,
    /// Their latches, held by being here.
    pub(crate) _latch: Option<LatchGuard>,
    /// The transaction, whose locks go when the commit is applied.
    pub(crate) txn: TxnId,
    /// Whether those go.
    pub(crate) releases: bool,
    /// Whether it writes the catalog version.
    pub(crate) changes_catalog: bool,
    /// The start of the transaction whose intents it writes.
    pub(crate) begins: Option<u64>,
    /// What becomes of intents when it is applied.
    pub(crate) changes: Vec<Change>,
    /// Its share of what may be under way, held by being here.
    pub(crate) _admitted: Option<Admitted>,
}

impl Serving {
    /// A term that starts with everything read at `floor`, and without intents.
    #[cfg(test)]
    pub(crate) fn new(term: u64, floor: u64) -> Self {
        Self::with_intents(term, floor, Intents::default())
    }

    /// A term that starts with everything read at `floor`.
    pub(crate) fn with_intents(term: u64, floor: u64, intents: Intents) -> Self {
        Self {
            term,
            began: floor,
            memory: ReadMemory::new(floor),
            inflight: Arc::new(InFlight::new()),
            latches: Arc::default(),
            locks: Arc::default(),
            barren: Barren::default(),
            intents,
            reservations: Reservations::default(),
            gate: CatalogGate::new(),
            room: Room::default(),
            giving: Giving::default(),
            staged: Arc::default(),
            raising: AtomicBool::new(false),
            followed: AtomicU64::new(0),
            closes_after: Mutex::default(),
            tells_after: Mutex::default(),
            watched_until: Mutex::default(),
            barred: AtomicU64::new(0),
            proposals: Mutex::default(),
            lapse: Notify::new(),
            over: Notify::new(),
        }
    }

    /// Follows on one that has served the same term and has ended: numbers that it has given are not given again, for
    /// entries of the log name them.
    pub(crate) fn follow(mut self, before: &Serving) -> Self {
        self.staged = before.staged.clone();
        self.proposals.get_mut().next = before.proposals.lock().next;
        self
    }

    /// Completes once this serves no more.
    pub(crate) async fn ended(&self) {
        loop {
            let over = self.over.notified();
            if self.is_over() {
                return;
            }
            over.await;
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

    /// Serves nothing from the key `from` on any more: false if a split is under way already. Locks there are lost, as with a
    /// leader: what they protected, commit checks. Whoever waits for one asks the new range.
    pub(crate) fn give_away(&self, from: &Bytes) -> bool {
        let mut giving = self.giving.from.lock();
        if giving.is_some() {
            return false;
        }
        *giving = Some(from.clone());
        self.giving.active.store(true, Ordering::SeqCst);
        drop(giving);
        self.locks.give_away(from);
        true
    }

    /// Forgets what stands on keys from `from` on, which another range serves by now: whoever waits for it finds that out.
    pub(crate) fn forget_from(&self, from: &[u8]) {
        self.intents.give_away(from);
        self.reservations.give_away(from);
    }

    /// The split is applied, and the range's state says what is left; or it is certain not to be.
    pub(crate) fn given_away(&self) {
        let mut giving = self.giving.from.lock();
        *giving = None;
        self.giving.active.store(false, Ordering::SeqCst);
    }

    /// Whether what reaches up to a key that `reaches` speaks of is being given away.
    pub(crate) fn gives_away(&self, reaches: impl FnOnce(&[u8]) -> bool) -> bool {
        self.giving.active.load(Ordering::SeqCst) && self.giving.from.lock().as_deref().is_some_and(reaches)
    }

    /// Lets a commit stand. Until the guard is disarmed, dropping it takes the commit back.
    pub(crate) fn stand(self: &Arc<Self>, proposal: Proposal) -> Result<ProposalGuard, TermEnded> {
        let mut proposals = self.proposals.lock();
        if proposals.ended {
            drop(proposals);
            self.inflight.leave(&proposal.keys, &proposal.mark);
            return Err(TermEnded);
        }
        let sequence = proposals.next;
        proposals.next += 1;
        proposals.standing.insert(sequence, proposal);
        Ok(ProposalGuard { serving: self.clone(), sequence, armed: true })
    }

    /// What the commit, which is not proposed yet, does to intents.
    pub(crate) fn will_change(&self, sequence: u64, changes: Vec<Change>) {
        if let Some(proposal) = self.proposals.lock().standing.get_mut(&sequence) {
            proposal.changes = changes;
        }
    }

    /// A number for a commit that goes into the log in pieces.
    pub(crate) fn number_staged(&self) -> u64 {
        self.staged.fetch_add(1, Ordering::Relaxed)
    }

    /// The commit was certainly not proposed.
    pub(crate) fn abandon(&self, sequence: u64) {
        if let Some(proposal) = self.take(sequence) {
            self.inflight.leave(&proposal.keys, &proposal.mark);
        }
    }

    /// Apply has taken the commit, which had an effect or none.
    pub(crate) fn applying(&self, sequence: u64, took_effect: bool) {
        self.proposals.lock().applying.push((sequence, took_effect));
    }

    /// Until then no timestamp is closed.
    pub(crate) fn hold_closing(&self, until: Instant) {
        let mut held = self.closes_after.lock();
        *held = (*held).max(Some(until));
    }

    /// Whether none is closed now.
    pub(crate) fn holds_closing(&self) -> bool {
        self.closes_after.lock().is_some_and(|until| env::clock::now() < until)
    }

    /// Until then who watches what changes is told nothing.
    pub(crate) fn hold_watching(&self, until: Instant) {
        let mut held = self.tells_after.lock();
        *held = (*held).max(Some(until));
    }

    /// Whether nobody is told now.
    pub(crate) fn holds_watching(&self) -> bool {
        self.tells_after.lock().is_some_and(|until| env::clock::now() < until)
    }

    /// Somebody watches what changes.
    pub(crate) fn note_watched(&self) {
        *self.watched_until.lock() = Some(env::clock::now() + WATCHED);
    }

    /// Whether somebody has a moment ago.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched_until.lock().is_some_and(|until| env::clock::now() < until)
    }

    /// From now on no transaction that began at or below `start` is prewritten; false: one is being prewritten.
    pub(crate) fn bar(&self, start: u64) -> bool {
        self.barred.fetch_max(start, Ordering::SeqCst);
        let proposals = self.proposals.lock();
        !proposals.standing.values().any(|proposal| proposal.begins.is_some_and(|begins| begins <= start))
    }

    /// Whether a transaction that began then may not be prewritten. Asked once its proposal stands.
    pub(crate) fn is_barred(&self, start: u64) -> bool {
        start <= self.barred.load(Ordering::SeqCst)
    }

    /// All that apply has taken so far can be read.
    pub(crate) fn applied(&self) {
        let finished = std::mem::take(&mut self.proposals.lock().applying);
        for (sequence, took_effect) in finished {
            let (changes, changes_catalog) = self.take_changes(sequence);
            self.uncover(sequence, changes.is_empty());
            // Before its mark and its intents go, for who finds none looks at what the gate knows.
            if changes_catalog {
                self.gate.forget();
            }
            // Before the proposal goes, for one of the two holds the safe point back.
            changes.into_iter().filter(|_| took_effect).for_each(|change| self.intents.change(change));
            let Some(proposal) = self.take(sequence) else { continue };
            self.inflight.leave(&proposal.keys, &proposal.mark);
            if proposal.releases {
                self.locks.release_all(&proposal.txn);
            }
        }
    }

    /// What the commit has written is not taken for empty any more.
    fn uncover(&self, sequence: u64, knows_keys: bool) {
        if !self.barren.is_noticed() {
            return;
        }
        let keys = self.proposals.lock().standing.get(&sequence).map(|proposal| proposal.keys.clone());
        match keys.filter(|_| knows_keys) {
            Some(keys) => self.barren.written(&keys),
            None => self.barren.clear(),
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
        self.intents.end();
        self.reservations.end();
        self.latches.end();
        self.locks.end();
        self.room.end();
        self.over.notify_waiters();
        drop(standing);
    }

    /// Whether nothing is under way, and nobody waits, or watches and is about to ask again.
    pub(crate) fn is_idle(&self) -> bool {
        let is_still = {
            let proposals = self.proposals.lock();
            !proposals.ended && proposals.standing.is_empty() && proposals.applying.is_empty()
        };
        is_still
            && !self.giving.active.load(Ordering::SeqCst)
            && !self.raising.load(Ordering::SeqCst)
            && self.locks.transactions() == 0
            && self.intents.counts() == (0, 0)
            && self.reservations.is_empty()
            && !self.is_watched()
    }

    /// Whether the range, asleep, is to be woken so that it forgets: it has had so many requests so far, and is past so many of the points
    /// up to which it may. Once for each.
    pub(crate) fn wakes_for(&self, requests: u64, passed: u64) -> bool {
        let now = requests.saturating_mul(POINTS_MAX).saturating_add(passed.min(POINTS_MAX - 1));
        self.followed.fetch_max(now, Ordering::Relaxed) < now
    }

    /// Whether the term has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.proposals.lock().ended
    }

    /// What a commit does to intents, and whether it changes the catalog version.
    fn take_changes(&self, sequence: u64) -> (Vec<Change>, bool) {
        let mut proposals = self.proposals.lock();
        let found = proposals.standing.get_mut(&sequence);
        found.map(|found| (std::mem::take(&mut found.changes), found.changes_catalog)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_asleep_is_woken_once_for_each_point_until_it_is_asked_again() {
        let serving = Serving::new(7, 1);
        let woken = [(0, 1), (0, 1), (0, 2), (0, 1), (0, 2), (3, 1), (3, 1), (3, 2), (3, 5000), (4, 1)];
        let woken = woken.map(|(requests, passed)| serving.wakes_for(requests, passed));
        assert_eq!(woken, [true, false, true, false, false, true, false, true, true, true]);
    }

    #[test]
    fn what_is_given_away_is_so_until_that_is_over() {
        let serving = Serving::new(7, 1);
        let reaches = |key: &'static [u8]| serving.gives_away(|from| key >= from);
        assert!(!reaches(b"z"));
        assert!(serving.give_away(&Bytes::from_static(b"m")));
        assert!(!serving.give_away(&Bytes::from_static(b"a")), "one at a time");
        assert!(reaches(b"m") && reaches(b"z") && !reaches(b"l"));
        serving.given_away();
        assert!(!reaches(b"z"));
        assert!(serving.give_away(&Bytes::from_static(b"a")));
    }
}
