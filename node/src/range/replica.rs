//! A replica as the node serves it: which term it leads, and how a term begins.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use env::canary::{Canary, sings};
use env::watch;
use proto::v1::operation::Operation;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{RangeState, Span, WaitRequest, WaitResponse};

use super::admission::Admission;
use super::exports::Exports;
use super::intents::{Intents, Look};
use super::refusal::Refusal;
use super::serving::Serving;
use super::state::{RangeCell, is_still};
use crate::metrics::Metrics;
use crate::raft::{Group, ProposeError, Role};
use crate::vitals::Vitals;

/// How often expired locks are looked for.
const SWEEP: Duration = Duration::from_millis(500);

/// How long a term waits before it tries again to begin.
const BEGIN_AGAIN: Duration = Duration::from_millis(20);

/// How long a leader whose lease has run out waits for its quorum.
const QUORUM_PATIENCE: Duration = Duration::from_secs(1);

/// How often a leader makes sure that it leads still, on behalf of those who wait.
const PROOF: Duration = Duration::from_millis(250);

/// More often than this it does not.
const TICK_MIN: Duration = Duration::from_millis(10);

/// Where timestamps come from.
#[async_trait]
pub(crate) trait TimeSource: Send + Sync + 'static {
    /// The largest timestamp that this node knows to have been handed out.
    fn observed(&self) -> u64;

    /// A timestamp larger than all that were handed out before the call.
    async fn fresh(&self) -> Result<u64, Refusal>;

    /// Makes sure that `at`, which is above [`TimeSource::observed`], was handed out.
    async fn admit(&self, at: u64) -> Result<(), Refusal>;

    /// The same for a timestamp that somebody has chosen, not got from the oracle: it is never taken for one that was
    /// handed out, however near it is.
    async fn admit_chosen(&self, at: u64) -> Result<(), Refusal> {
        if at <= self.fresh().await? {
            return Ok(());
        }
        Err(Refusal::Invalid("the timestamp lies in the future".to_owned()))
    }
}

/// Finds deadlocks.
#[async_trait]
pub(crate) trait DeadlockDetector: Send + Sync + 'static {
    /// Reports a wait, or its end where there are no holders.
    async fn report(&self, wait: WaitRequest) -> Option<WaitResponse>;
}

/// What is asked of the ranges of some keys.
pub(crate) struct Inquiry {
    /// The keys.
    pub(crate) keys: Vec<Bytes>,
    /// What is asked of one range about its keys among them.
    pub(crate) operation: Box<dyn Fn(Vec<Bytes>) -> Operation + Send + Sync>,
}

/// Reaches other ranges.
#[async_trait]
pub(crate) trait Elsewhere: Send + Sync + 'static {
    /// Asks the leaders of the ranges that hold the keys; all their answers, in no order.
    async fn ask(&self, inquiry: Inquiry) -> Result<Vec<Answer>, Refusal>;
}

/// What all replicas of a node share.
pub(crate) struct Context {
    /// The engine.
    pub(crate) db: lsm::Db,
    /// The cluster.
    pub(crate) cluster_id: Bytes,
    /// Where timestamps come from.
    pub(crate) time: Arc<dyn TimeSource>,
    /// Finds deadlocks.
    pub(crate) detector: Arc<dyn DeadlockDetector>,
    /// Reaches other ranges.
    pub(crate) elsewhere: Arc<dyn Elsewhere>,
    /// Runs what must go on when its caller goes away.
    pub(crate) tasks: crate::tasks::Tasks,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Whether the store can go on.
    pub(crate) vitals: Arc<Vitals>,
    /// Lets commits in.
    pub(crate) admission: Admission,
    /// How far the timestamps that are closed lie behind the newest.
    pub(crate) closed_lag_ms: u64,
    /// Lets files of backups be written.
    pub(crate) exports: Exports,
}

/// One replica of a range.
#[derive(Clone)]
pub(crate) struct Replica {
    /// What all parts of the store know the replica by.
    pub(crate) cell: Arc<RangeCell>,
    /// Its side of replication.
    pub(crate) group: Arc<Group>,
    /// What all replicas share.
    pub(crate) context: Arc<Context>,
}

impl Replica {
    /// Serves whatever terms this replica leads; ends with its task.
    pub(crate) async fn lead(self: Arc<Self>) {
        let mut roles = self.group.watch();
        loop {
            let role = roles.borrow_and_update().clone();
            if role.is_leader {
                self.lead_term(&role, &mut roles).await;
            }
            self.cell.stop_serving();
            if *roles.borrow() == role && roles.changed().await.is_err() {
                return;
            }
        }
    }

    /// Serves one term until the role changes.
    async fn lead_term(&self, role: &Role, roles: &mut watch::Receiver<Role>) {
        let range = self.cell.range_id();
        let over = wait_until_over(role, roles);
        let serve = async {
            let mut before: Option<Arc<Serving>> = None;
            loop {
                let serving = self.begin_term(role.term, before.as_deref()).await;
                tracing::info!(range, term = role.term, "serving");
                tokio::select! {
                    biased;
                    () = serving.ended() => {}
                    _ = futures::future::join(self.sweep_locks(&serving), self.notice_lapse(&serving)) => {}
                }
                // The range has frozen, or has taken over its right neighbour.
                before = Some(serving);
            }
        };
        tokio::select! {
            biased;
            () = over => tracing::info!(range, term = role.term, "no longer leading"),
            _ = serve => {}
        }
    }

    async fn sweep_locks(&self, serving: &Arc<Serving>) {
        loop {
            env::clock::sleep(SWEEP).await;
            // Who sleeps has nothing that expires.
            self.group.awake().await;
            self.sweep_intents(serving);
            let expired = serving.locks.expire();
            if expired > 0 {
                self.context.metrics.locks_expired.increment(expired as u64);
                let range = self.cell.range_id();
                tracing::info!(range, transactions = expired, "locks expired without a sign of life");
            }
        }
    }

    /// Tells those who wait when this leader is cut off from its quorum: nobody else does, because it goes on believing
    /// that it leads until it hears of another. What proves that it leads serves to close timestamps, too.
    async fn notice_lapse(&self, serving: &Arc<Serving>) {
        // Timestamps that lie less far behind are to be closed more often.
        let tick = PROOF.min(Duration::from_millis(self.context.closed_lag_ms / 2)).max(TICK_MIN);
        let mut closing = None;
        loop {
            env::clock::sleep(tick).await;
            if self.group.is_asleep() {
                // Nobody waits, and what is closed stands still.
                closing = None;
                self.group.awake().await;
            }
            closing = closing.or_else(|| self.begin_closing(serving));
            // What is done here for itself does not keep the group awake.
            let leads = self.group.holds_lease(serving.term) || self.proves_in_time(serving.term).await;
            if !leads {
                serving.lapse();
            } else if closing.as_ref().is_some_and(|closing| self.finish_closing(serving, closing)) {
                closing = None;
            }
        }
    }

    /// Whether it can be proven soon that this replica leads in `term`.
    async fn proves_in_time(&self, term: u64) -> bool {
        let proven = env::clock::timeout(PROOF * 2, self.prove_leadership(term)).await;
        matches!(proven, Ok(Ok(())))
    }

    /// What a term begins with once its blank entry is applied: nothing of other terms is applied any more.
    async fn floor_and_intents(&self, state: &RangeState) -> Result<(u64, Intents), Refusal> {
        let floor = self.context.time.fresh().await?;
        let Some(span) = state.span.clone() else { return Ok((floor, Intents::default())) };
        let db = self.context.db.clone();
        let loading = move || Intents::load(&db, &keys::Span::new(span.start, span.end));
        let stopping = |_| Refusal::Unavailable("the node is stopping".to_owned());
        Ok((floor, env::task::blocking(loading).await.map_err(stopping)??))
    }

    /// A term may serve once its blank entry is applied, its lease holds, a timestamp requested after that has arrived, and
    /// it knows the intents.
    ///
    /// The same holds where it is served anew, after `before`: the floor is above all that this range has served, and above all
    /// that the one has that it has taken over, for it is asked for after both have ended to serve; and what both have logged is
    /// applied here.
    async fn begin_term(&self, term: u64, before: Option<&Serving>) -> Arc<Serving> {
        loop {
            let state = self.cell.state();
            if !is_still(&state)
                && self.group.wait_term_applied(term).await.is_ok()
                && self.group.lease_valid(term)
            {
                match self.floor_and_intents(&state).await {
                    Ok((floor, intents)) => {
                        let forgets = before.is_some() && sings(Canary::MergeForgetsReads);
                        let serving = Serving::with_intents(term, if forgets { 0 } else { floor }, intents);
                        let serving = match before {
                            Some(before) => serving.follow(before),
                            None => serving,
                        };
                        let serving = Arc::new(serving);
                        if self.cell.begin(&state, &serving) {
                            return serving;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(range = self.cell.range_id(), term, %error, "no timestamp yet")
                    }
                }
            }
            env::clock::sleep(BEGIN_AGAIN).await;
        }
    }

    /// Proves that this replica leads in `term` at some moment after the call began: by its lease, else by a round to a
    /// quorum.
    pub(crate) async fn prove_leadership(&self, term: u64) -> Result<(), Refusal> {
        if self.group.lease_valid(term) {
            return Ok(());
        }
        let proving = async {
            self.group.rouse().await;
            // What wakes it gives the lease back.
            if self.group.lease_valid(term) { Ok(term) } else { self.group.read_index().await }
        };
        match env::clock::timeout(QUORUM_PATIENCE, proving).await {
            // Leadership may have been lost and won again in between.
            Ok(Ok(proven)) if proven == term => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(ProposeError::NotLeader { leader })) => return Err(Refusal::NotLeader(leader)),
            Ok(Err(ProposeError::Ambiguous)) | Err(_) => return Err(Refusal::NotLeader(None)),
            Ok(Err(ProposeError::Fatal(why))) => {
                return Err(Refusal::Unavailable(format!("the replica has stopped: {why}")));
            }
        }
        Err(Refusal::NotLeader(self.group.role().leader))
    }

    /// Makes sure that nothing will commit at or below `at` within the span, and that what has is applied here.
    pub(crate) async fn close_at(&self, serving: &Arc<Serving>, span: &Span, at: u64) -> Result<(), Refusal> {
        serving.memory.raise_span(&span.start, &span.end, at);
        serving.inflight.settle_span(&span.start, &span.end, at).await?;
        let look = Look::Check { since: 0, at };
        while let Some(standing) = serving.intents.in_the_way_within(&span.start, &span.end, look, 0)? {
            self.outlast(serving, &standing, look).await?;
        }
        Ok(())
    }
}

/// Completes when the replica leads the term no more.
async fn wait_until_over(role: &Role, roles: &mut watch::Receiver<Role>) {
    loop {
        {
            let now = roles.borrow_and_update();
            if !now.is_leader || now.term != role.term {
                return;
            }
        }
        if roles.changed().await.is_err() {
            return;
        }
    }
}
