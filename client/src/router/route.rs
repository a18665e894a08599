//! One range as a router knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock::{self, Instant};
use proto::v1::{NotLeader, RangeDescriptor};

use super::peer::Peer;

/// A node that may lead a range.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) node_id: u64,
    pub(crate) peer: Arc<Peer>,
}

/// Which candidate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    /// Its place among the candidates.
    pub(crate) place: usize,
    /// It does not lead; it passes requests on to the leader, which this client does not reach.
    pub(crate) forwards: bool,
    /// Counts the answers to the question.
    version: u32,
}

impl Lead {
    fn pack(self) -> u64 {
        (u64::from(self.version) << 32) | (u64::from(self.forwards) << 31) | (self.place as u64 & 0x7fff_ffff)
    }

    fn unpack(packed: u64) -> Self {
        Self {
            place: (packed & 0x7fff_ffff) as usize,
            forwards: packed & (1 << 31) != 0,
            version: (packed >> 32) as u32,
        }
    }
}

/// A range: its descriptor, its replicas, and which of them is asked.
pub(crate) struct Route {
    descriptor: RangeDescriptor,
    candidates: Vec<Candidate>,
    lead: AtomicU64,
    born: Instant,
    /// When who is asked was last heard to serve the range, in milliseconds after `born`.
    heard_ms: AtomicU64,
    /// When it is due to look for the leader behind who passes requests on, in milliseconds after `born`.
    look_ms: AtomicU64,
    /// How far a replica that does not lead was found to be behind, in milliseconds.
    lag_ms: AtomicU64,
    /// And until when that counts, in milliseconds after `born`.
    lags_until_ms: AtomicU64,
    /// Held by who asks whether the leader lives, so that all who wait for it wait for one probe.
    pub(crate) probing: tokio::sync::Mutex<()>,
    /// Held by who looks for the leader, so that all who miss it wait for one search.
    pub(crate) searching: tokio::sync::Mutex<()>,
}

impl Route {
    pub(super) fn new(descriptor: RangeDescriptor, candidates: Vec<Candidate>, place: usize) -> Self {
        Self {
            descriptor,
            candidates,
            lead: AtomicU64::new(Lead { place, forwards: false, version: 0 }.pack()),
            born: clock::now(),
            heard_ms: AtomicU64::new(0),
            look_ms: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
            lags_until_ms: AtomicU64::new(0),
            probing: tokio::sync::Mutex::new(()),
            searching: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn descriptor(&self) -> &RangeDescriptor {
        &self.descriptor
    }

    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    pub(crate) fn range_id(&self) -> u64 {
        self.descriptor.range_id
    }

    /// Whether this is `other` within the same bounds: a request for one may be sent to the other.
    pub(crate) fn is_same_span(&self, other: &Self) -> bool {
        self.range_id() == other.range_id() && self.descriptor.span_epoch == other.descriptor.span_epoch
    }

    /// Whether the range holds `key`.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        key >= self.start() && (self.end().is_empty() || key < self.end())
    }

    /// Whether the range holds every key from `start` to `end`.
    pub(crate) fn holds_span(&self, start: &[u8], end: &[u8]) -> bool {
        start >= self.start() && (self.end().is_empty() || end <= self.end())
    }

    /// The least key.
    pub(crate) fn start(&self) -> &[u8] {
        self.descriptor.span.as_ref().map_or(&[], |span| &span.start)
    }

    /// Above the greatest key; empty: there is none above.
    pub(crate) fn end(&self) -> &[u8] {
        self.descriptor.span.as_ref().map_or(&[], |span| &span.end)
    }

    /// The candidate to ask.
    pub(crate) fn lead(&self) -> Option<(Lead, &Candidate)> {
        let lead = Lead::unpack(self.lead.load(Ordering::Acquire));
        self.candidates.get(lead.place).map(|candidate| (lead, candidate))
    }

    /// Whether nobody has found another candidate to ask since `lead`.
    pub(crate) fn is_asked(&self, lead: Lead) -> bool {
        self.lead.load(Ordering::Acquire) == lead.pack()
    }

    /// The candidate at `place` is the one to ask.
    pub(crate) fn found(&self, place: usize, forwards: bool) {
        let next = |packed| {
            let version = Lead::unpack(packed).version.wrapping_add(1);
            Some(Lead { place, forwards, version }.pack())
        };
        // The closure never declines.
        let _ = self.lead.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// A node that was asked as `lead` names another one. False: that one is no candidate, or does not answer.
    pub(crate) fn take_hint(&self, lead: Lead, hint: &NotLeader) -> bool {
        let named = self.named(hint).filter(|place| {
            *place != lead.place && self.candidates.get(*place).is_some_and(|named| !named.peer.is_silent())
        });
        let Some(place) = named else { return false };
        let next = Lead { place, forwards: false, version: lead.version.wrapping_add(1) };
        // Losing the race means that somebody knows better already.
        let _ = self.lead.compare_exchange(lead.pack(), next.pack(), Ordering::AcqRel, Ordering::Acquire);
        true
    }

    /// The place of the candidate that a node takes for the leader.
    pub(crate) fn named(&self, hint: &NotLeader) -> Option<usize> {
        self.candidates.iter().position(|candidate| {
            (hint.leader_node_id != 0 && candidate.node_id == hint.leader_node_id)
                || *candidate.peer.address == *hint.leader_address
        })
    }

    /// Who is asked serves the range.
    pub(crate) fn heard(&self) {
        self.heard_ms.store(self.ms(clock::now()), Ordering::Relaxed);
    }

    /// Whether that was heard at or after `moment`.
    pub(crate) fn heard_since(&self, moment: Instant) -> bool {
        self.heard_ms.load(Ordering::Relaxed) > self.ms(moment)
    }

    /// Whether to look for the leader behind who passes requests on; not twice within [`SILENCE`].
    pub(crate) fn look_is_due(&self) -> bool {
        let now = self.ms(clock::now());
        let due = self.look_ms.load(Ordering::Relaxed);
        let next = now + SILENCE.as_millis() as u64;
        now >= due && self.look_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A replica that does not lead is so far behind what is new.
    pub(crate) fn lags(&self, lag_ms: u64) {
        self.lag_ms.store(lag_ms, Ordering::Relaxed);
        self.lags_until_ms.store(self.ms(clock::now() + LAGS_FOR), Ordering::Relaxed);
    }

    /// Whether such replicas were found just now not to have come to what is so old.
    pub(crate) fn has_not_come_to(&self, age_ms: u64) -> bool {
        age_ms < self.lag_ms.load(Ordering::Relaxed)
            && self.ms(clock::now()) < self.lags_until_ms.load(Ordering::Relaxed)
    }

    fn ms(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.born).as_millis() as u64
    }
}

/// For how long only the leader is asked for what another replica had not come to.
const LAGS_FOR: Duration = Duration::from_millis(250);

/// How long ago a leader may have been heard of before it is asked whether it leads still.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
