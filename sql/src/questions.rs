//! What functions leave for their statement to answer: evaluation never waits.
//!
//! A row's evaluation that meets a question ends with an error. The statement answers the question, and has the row evaluated
//! again: what it was told before it is told again, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use expr::Datum;
use parking_lot::Mutex;

use crate::activity::ask;
use crate::catalog::Oid;
use crate::catalog::object::SequenceState;

/// The answers of one row's evaluation are remembered up to so many; beyond, an evaluation that is run again asks anew.
const ANSWERS_MAX: usize = 65_536;

/// A question that takes waiting to answer.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// nextval
    NextValue(Oid),
    /// setval
    SetValue(Oid, SequenceState),
    /// pg_sequence_last_value
    LastValue(Oid),
    /// pg_sleep
    Sleep(Duration),
    /// pg_advisory_lock and its like
    Advisory(Advisory),
    /// pg_notification_queue_usage
    QueueUsage,
    /// Of other sessions, by this role.
    Sessions(ask::Question, Arc<str>),
}

/// What is asked of an advisory lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advisory {
    /// Which.
    pub(crate) name: AdvisoryName,
    /// What to do with it.
    pub(crate) act: AdvisoryAct,
}

/// What advisory locks go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AdvisoryName {
    /// A number.
    One(i64),
    /// Two numbers, which no one number is the same as.
    Two(i32, i32),
}

/// What to do with an advisory lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdvisoryAct {
    /// Take it.
    Take {
        /// With others who share it.
        shared: bool,
        /// Whether to wait for those who hold it.
        waits: bool,
        /// Until the end of the transaction, rather than until it is given back.
        for_transaction: bool,
    },
    /// Give it back once.
    GiveBack {
        /// What was taken with others.
        shared: bool,
    },
    /// Give all back.
    GiveAllBack,
}

/// The questions and answers of the evaluation under way.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Whether the evaluation under way has been told anything, or asked.
    used: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the evaluation was told, and how much of it it has been told again.
    answers: Vec<Datum>,
    repeated: usize,
    asked: Option<Question>,
}

impl Questions {
    /// An answer that was given before the evaluation was run again.
    pub(crate) fn repeat(&self) -> Option<Datum> {
        self.used.store(true, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        let answer = inner.answers.get(inner.repeated).cloned()?;
        inner.repeated = inner.repeated.saturating_add(1);
        Some(answer)
    }

    /// The evaluation is told this.
    pub(crate) fn tell(&self, answer: Datum) {
        let mut inner = self.inner.lock();
        if inner.answers.len() >= ANSWERS_MAX {
            inner.answers.clear();
        }
        inner.answers.push(answer);
        inner.repeated = inner.answers.len();
    }

    /// What was answered to the question; else an error that ends the evaluation, which nobody sees but where no statement
    /// waits for the answer.
    pub(crate) fn ask(&self, function: &str, question: Question) -> expr::Result<Datum> {
        match self.repeat() {
            Some(answer) => Ok(answer),
            None => Err(self.leave(function, question)),
        }
    }

    /// Leaves a question that was not answered before.
    pub(crate) fn leave(&self, function: &str, question: Question) -> expr::Error {
        self.inner.lock().asked = Some(question);
        expr::Error::new("0A000", format!("{function} is not supported where it stands"))
    }

    /// Takes what was asked, to answer it.
    pub(crate) fn take(&self) -> Option<Question> {
        self.inner.lock().asked.take()
    }

    /// The evaluation is run again, and told everything again.
    pub(crate) fn repeat_all(&self) {
        self.inner.lock().repeated = 0;
    }

    /// Whether the evaluation under way has been told anything, or asked.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// An evaluation is over.
    pub(crate) fn settle(&self) {
        *self.inner.lock() = Inner::default();
        self.used.store(false, Ordering::Relaxed);
    }
}
