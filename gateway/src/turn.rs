//! What stands before each statement of a session, whichever door it comes by: what its role and its address may do in a second
//! (`limits`), and its place among those that run (`admission`).
//!
//! ```text
//! count ──too many──▶ 53400
//!   └──▶ take: at once │ queue ──too long──▶ 53300 ──▶ statement ──▶ leave: no place any more │ rest, with a transaction open
//! ```

use std::sync::Arc;
use std::time::Duration;

use sql::{Error, Session};

use crate::admission::{Admission, Full, Place};
use crate::limits::{Meter, Tally};
use crate::metrics::GatewayMetrics;

/// A session's way to its turn.
pub(crate) struct Turn {
    meter: Meter,
    admission: Arc<Admission>,
    /// Its place, as long as it has one.
    place: Option<Place>,
    /// How long it waits for one.
    queue_timeout: Duration,
    /// Whether it is one of a role that is no superuser.
    is_restricted: bool,
}

impl Turn {
    /// That of a session that takes from the accounts of `meter`.
    pub(crate) fn new(
        meter: Meter,
        admission: Arc<Admission>,
        queue_timeout: Duration,
        is_restricted: bool,
    ) -> Self {
        Self { meter, admission, place: None, queue_timeout, is_restricted }
    }

    /// What it takes from.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Counts a statement that is to begin, and the bytes that it came in; one that `must` does so in any case.
    ///
    /// # Errors
    /// 53400: it is one too many in this second, or too much has been sent or received.
    pub(crate) fn count(
        &self,
        session: &Session,
        bytes: u64,
        must: bool,
        metrics: &GatewayMetrics,
    ) -> Result<(), Error> {
        let limits = session.limits();
        if !self.meter.is_bounded(limits) {
            return Ok(());
        }
        let counted = self.meter.begin(limits, bytes, must, env::clock::now());
        counted.inspect_err(|_| metrics.limited.increment(1))
    }

    /// Counts bytes that have come and gone.
    pub(crate) fn count_bytes(&self, session: &Session, bytes: u64) {
        let limits = session.limits();
        if self.meter.is_bounded(limits) {
            self.meter.moved(limits, bytes, env::clock::now());
        }
    }

    /// What counts bytes when the session is gone; `None`: nothing is bounded.
    pub(crate) fn tally(&self, session: &Session) -> Option<Tally> {
        let limits = session.limits();
        self.meter.is_bounded(limits).then(|| Tally::new(&self.meter, limits))
    }

    /// Whether it is the session's turn at once: it has a place, or there is one.
    pub(crate) fn take_at_once(&mut self) -> bool {
        if let Some(place) = &mut self.place {
            place.go_on();
            return true;
        }
        self.place = self.admission.try_enter();
        if self.place.is_none() && !self.is_restricted {
            self.place = self.admission.try_enter_reserved();
        }
        self.place.is_some()
    }

    /// Has a session for which there was no place wait for one.
    ///
    /// # Errors
    /// 53300: its turn has not come in time. 57014: it was cancelled meanwhile, or `statement_timeout` has passed.
    pub(crate) async fn wait(
        &mut self,
        session: &mut Session,
        metrics: &GatewayMetrics,
    ) -> Result<(), Error> {
        let _waiting = env::trace::child("queue");
        let since = env::clock::now();
        let entering = self.admission.enter(since + self.queue_timeout);
        let entered = session.wait_for_turn(entering).await;
        metrics.queue_seconds.record(since.elapsed().as_secs_f64());
        match entered? {
            Ok(place) => {
                self.place = Some(place);
                Ok(())
            }
            Err(Full) => {
                metrics.shed.increment(1);
                Err(Error::new("53300", "too many statements are under way")
                    .detail("The gateway has more to do than it can.")
                    .hint(format!("Try again in {} ms.", self.queue_timeout.as_millis().max(1))))
            }
        }
    }

    /// A statement is over: the place is given back, or rests as long as a transaction is open.
    pub(crate) fn leave(&mut self, session: &Session) {
        if session.has_transaction() {
            self.rest();
        } else {
            self.place = None;
        }
    }

    /// The session waits for its client, perhaps in the middle of a statement.
    pub(crate) fn rest(&mut self) {
        if let Some(place) = &mut self.place {
            place.rest();
        }
    }

    /// The client has said, or read, what was waited for.
    pub(crate) fn go_on(&mut self) {
        if let Some(place) = &mut self.place {
            place.go_on();
        }
    }
}
