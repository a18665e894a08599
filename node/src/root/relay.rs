//! What gateways ask each other, by way of the root range's leader: the one process that all of them reach.
//!
//! ```text
//!   gateway 1 ── ask ──▶ ┌──────────────┐ ◀── attend (held) ── gateway 2
//!                        │  root leader │ ─── question ──────▶
//!             ◀─ answers ─└──────────────┘ ◀── attend, answer ──
//! ```
//!
//! Nothing of it is kept: a question lives as long as whoever asks it waits, and a leader knows of the gateways that have
//! attended lately. Pure: told the time, and asked what has become of a question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use prost::Message;
use proto::v1::{GatewayAnswer, GatewayQuestion};
use tokio::sync::Notify;

/// A gateway's id.
pub(super) type GatewayId = [u8; 16];

/// How long a gateway that has not attended again is still asked.
const ATTENDS: Duration = Duration::from_secs(3);

/// So many gateways may attend.
const GATEWAYS_MAX: usize = 1024;

/// So many questions may be open.
const QUESTIONS_MAX: usize = 256;

/// An answer that is larger counts as none.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// So many bytes of answers may lie here until they are taken: less than one message may have. One for which there is no room
/// counts as none.
const ANSWERS_BYTES_MAX: usize = 64 << 20;

/// There are as many gateways, or questions, as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) &'static str);

#[derive(Debug)]
struct Attending {
    seen: Instant,
    /// What it has yet to be told.
    waiting: Vec<GatewayQuestion>,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    missing: BTreeSet<GatewayId>,
    answers: Vec<GatewayAnswer>,
    answers_bytes: usize,
    done: Arc<Notify>,
}

/// The gateways that attend, and the questions that are open.
///
/// # Invariants
///
/// - A question is forgotten once it has been taken, or its time is up.
/// - Numbers of questions begin anywhere: an answer to one that another leader asked meets nothing here.
#[derive(Debug)]
pub(crate) struct Relay {
    gateways: BTreeMap<GatewayId, Attending>,
    open: BTreeMap<u64, Open>,
    last: u64,
}

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u64,
    /// Told once all have answered.
    pub(super) done: Arc<Notify>,
    /// Nobody need be waited for.
    pub(super) is_answered: bool,
}

impl Relay {
    /// Questions are numbered from `first` on.
    pub(crate) fn new(first: u64) -> Self {
        Self { gateways: BTreeMap::new(), open: BTreeMap::new(), last: first }
    }

    /// A gateway attends, with answers; what it is asked now, and what tells it of more.
    pub(super) fn attend(
        &mut self,
        now: Instant,
        gateway: GatewayId,
        answers: Vec<GatewayAnswer>,
    ) -> Result<(Vec<GatewayQuestion>, Arc<Notify>), Full> {
        self.open.retain(|_, open| open.until > now);
        self.gateways.retain(|_, attending| now.saturating_duration_since(attending.seen) < ATTENDS);
        if self.gateways.len() >= GATEWAYS_MAX && !self.gateways.contains_key(&gateway) {
            return Err(Full("gateways"));
        }
        for answer in answers {
            self.answer(gateway, answer);
        }
        let attending = self.gateways.entry(gateway).or_insert_with(|| Attending {
            seen: now,
            waiting: Vec::new(),
            wake: Arc::default(),
        });
        attending.seen = now;
        // Whoever has given up is not answered, and nothing is ended for it later.
        let open = &self.open;
        let waiting = std::mem::take(&mut attending.waiting);
        let questions = waiting.into_iter().filter(|question| open.contains_key(&question.number)).collect();
        Ok((questions, attending.wake.clone()))
    }

    fn answer(&mut self, gateway: GatewayId, mut answer: GatewayAnswer) {
        let kept: usize = self.open.values().map(|open| open.answers_bytes).sum();
        let Some(open) = self.open.get_mut(&answer.number) else { return };
        if !open.missing.remove(&gateway) {
            return;
        }
        for session in &mut answer.sessions {
            session.gateway_id = Bytes::copy_from_slice(&gateway);
        }
        let bytes = answer.encoded_len();
        if bytes <= ANSWER_BYTES_MAX && kept + bytes <= ANSWERS_BYTES_MAX {
            open.answers_bytes += bytes;
            open.answers.push(answer);
        }
        if open.missing.is_empty() {
            open.done.notify_one();
        }
    }

    /// Asks all but `asker`. What was asked is to be taken within `patience`.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        asker: GatewayId,
        question: &GatewayQuestion,
        patience: Duration,
    ) -> Result<Question, Full> {
        self.open.retain(|_, open| open.until > now);
        self.gateways.retain(|_, attending| now.saturating_duration_since(attending.seen) < ATTENDS);
        if self.open.len() >= QUESTIONS_MAX {
            return Err(Full("questions of gateways"));
        }
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        let mut missing = BTreeSet::new();
        for (gateway, attending) in self.gateways.iter_mut().filter(|(gateway, _)| **gateway != asker) {
            if attending.waiting.len() < QUESTIONS_MAX {
                attending.waiting.push(GatewayQuestion { number, ..*question });
                attending.wake.notify_one();
                missing.insert(*gateway);
            }
        }
        let done = Arc::new(Notify::new());
        let is_answered = missing.is_empty();
        // Whoever asks may be gone before it takes the answers.
        let until = now + patience + ATTENDS;
        let (answers, answers_bytes) = (Vec::new(), 0);
        self.open.insert(number, Open { until, missing, answers, answers_bytes, done: done.clone() });
        Ok(Question { number, done, is_answered })
    }

    /// What has been answered.
    pub(super) fn take(&mut self, number: u64) -> Vec<GatewayAnswer> {
        self.open.remove(&number).map(|open| open.answers).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(400);

    fn answer(number: u64, pid: i32) -> GatewayAnswer {
        let session = proto::v1::SessionInfo { pid, ..Default::default() };
        GatewayAnswer { number, sessions: vec![session], ..Default::default() }
    }

    #[test]
    fn all_but_the_asker_are_asked_and_their_answers_come_together() {
        let (mut relay, now) = (Relay::new(7), env::clock::now());
        for gateway in [1, 2, 3] {
            assert!(relay.attend(now, [gateway; 16], Vec::new()).unwrap().0.is_empty());
        }
        let asked = relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap();
        assert!(!asked.is_answered);
        assert!(relay.attend(now, [1; 16], Vec::new()).unwrap().0.is_empty());
        for gateway in [2, 3] {
            let (questions, _) = relay.attend(now, [gateway; 16], Vec::new()).unwrap();
            assert_eq!(questions.iter().map(|question| question.number).collect::<Vec<_>>(), [asked.number]);
            // One that nobody has asked, one that was, and that again.
            let said = vec![answer(1, 9), answer(asked.number, gateway.into()), answer(asked.number, 9)];
            assert!(relay.attend(now, [gateway; 16], said).unwrap().0.is_empty());
        }
        let answers = relay.take(asked.number);
        let pids: Vec<i32> = answers.iter().flat_map(|answer| &answer.sessions).map(|one| one.pid).collect();
        assert_eq!(pids, [2, 3]);
        assert!(relay.take(asked.number).is_empty());
        // One whose asker has given up is asked of nobody any more.
        let asked = relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap();
        assert!(relay.take(asked.number).is_empty());
        assert!(relay.attend(now, [2; 16], Vec::new()).unwrap().0.is_empty());
    }

    #[test]
    fn who_has_not_attended_lately_is_not_waited_for() {
        let (mut relay, now) = (Relay::new(u64::MAX), env::clock::now());
        relay.attend(now, [2; 16], Vec::new()).unwrap();
        assert!(!relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap().is_answered);
        let later = now + ATTENDS;
        assert!(relay.ask(later, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap().is_answered);
    }

    #[test]
    fn what_others_can_make_grow_is_bounded() {
        let (mut relay, now) = (Relay::new(0), env::clock::now());
        for number in 0..GATEWAYS_MAX as u128 {
            relay.attend(now, number.to_be_bytes(), Vec::new()).unwrap();
        }
        assert_eq!(relay.attend(now, [255; 16], Vec::new()).unwrap_err(), Full("gateways"));
        for _ in 0..QUESTIONS_MAX {
            relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap();
        }
        let refused = relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE);
        assert_eq!(refused.unwrap_err(), Full("questions of gateways"));
        let later = now + PATIENCE + ATTENDS;
        assert!(relay.ask(later, [1; 16], &GatewayQuestion::default(), PATIENCE).is_ok());
    }

    #[test]
    fn answers_beyond_what_a_message_may_have_are_left_out() {
        let (mut relay, now) = (Relay::new(0), env::clock::now());
        let gateways = (2..=20u8).map(|gateway| [gateway; 16]);
        for gateway in gateways.clone() {
            relay.attend(now, gateway, Vec::new()).unwrap();
        }
        let asked = relay.ask(now, [1; 16], &GatewayQuestion::default(), PATIENCE).unwrap();
        for gateway in gateways {
            let query = "x".repeat(ANSWER_BYTES_MAX / 2);
            let session = proto::v1::SessionInfo { query, ..Default::default() };
            let large = GatewayAnswer { sessions: vec![session], ..answer(asked.number, 1) };
            relay.attend(now, gateway, vec![large]).unwrap();
        }
        assert_eq!(relay.take(asked.number).len(), 15, "each is a little more than a sixteenth");
        assert!(relay.open.is_empty());
    }
}
