//! The way of a batch of operations through the range's leader.

use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use proto::v1::operation::Operation;
use proto::v1::operation_result::Result as OperationResult;
use proto::v1::{self, BatchRequest, BatchResponse, Header, RangeState};

use super::evaluate::Evaluation;
use super::refusal::Refusal;
use super::replica::Replica;
use super::serving::Serving;
use super::state::descriptor;
use crate::metrics::Metrics;

/// So much later than its deadline a request ends that has not ended by itself: some still undo what they have begun, and
/// know better than we what became of it.
const LAST_WORD: Duration = Duration::from_millis(250);

impl Replica {
    /// Answers a batch that was sent to this range.
    pub(crate) async fn batch(&self, request: BatchRequest) -> BatchResponse {
        let mut results = Vec::with_capacity(request.operations.len());
        let error = self.evaluate(request, &mut results).await.err().map(|refusal| self.elsewhere(refusal));
        if let Some(error) = &error {
            count(error, &self.context.metrics);
        }
        BatchResponse { results, error: error.map(Refusal::into_wire) }
    }

    /// What this replica cannot read another may, who is to lead then.
    fn elsewhere(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Damaged(why) if self.group.report_damage(&why) => Refusal::NotLeader(None),
            Refusal::Unread(why) if self.group.report_unread(&why) => Refusal::NotLeader(None),
            refusal => refusal,
        }
    }

    async fn evaluate(
        &self,
        request: BatchRequest,
        results: &mut Vec<v1::OperationResult>,
    ) -> Result<(), Refusal> {
        let header = request.header.unwrap_or_default();
        if header.from_follower && !self.leads() {
            return self.follow(&header, request.operations, results).await;
        }
        let state = self.cell.state();
        let serving = self.serving(&header, &state).await?;
        let commits = |operation: &v1::Operation| {
            use Operation::{Commit, Decide, Prewrite};
            matches!(operation.operation, Some(Commit(_) | Prewrite(_) | Decide(_)))
        };
        let locks = |operation: &v1::Operation| matches!(operation.operation, Some(Operation::Lock(_)));
        let may_commit = request.operations.iter().any(commits);
        let may_wait = request.operations.iter().any(locks);
        let deadline = deadline(&header);
        let evaluation = Evaluation { replica: self, serving: serving.clone(), state, deadline, header };
        let evaluated = evaluation.run_all(request.operations, results);
        tokio::select! {
            biased;
            evaluated = evaluated => evaluated,
            () = serving.lapsed() => Err(if may_commit {
                Refusal::Ambiguous("the range's leader has lost its quorum".to_owned())
            } else {
                Refusal::NotLeader(None)
            }),
            () = passes(deadline.map(|deadline| deadline + LAST_WORD)) => Err(if may_commit {
                Refusal::Ambiguous("the deadline passed before the commit was applied".to_owned())
            } else if may_wait {
                Refusal::Retry("others hold the lock still".to_owned())
            } else {
                Refusal::Unavailable("the deadline passed".to_owned())
            }),
        }
    }

    /// Whether this replica serves now, as far as it knows without asking the others.
    fn leads(&self) -> bool {
        self.cell.serving().is_some_and(|serving| self.group.lease_valid(serving.term))
    }

    /// Answers a request that needs no leader.
    async fn follow(
        &self,
        header: &Header,
        operations: Vec<v1::Operation>,
        results: &mut Vec<v1::OperationResult>,
    ) -> Result<(), Refusal> {
        let read = tokio::select! {
            biased;
            read = self.read_closed(header, operations, results) => read,
            () = passes(deadline(header)) => Err(Refusal::Unavailable("the deadline passed".to_owned())),
        };
        self.group.note_follower_read(!matches!(read, Err(Refusal::NotClosed { .. })));
        let metrics = &self.context.metrics;
        let counter = if read.is_ok() { &metrics.follower_reads } else { &metrics.follower_refusals };
        counter.increment(1);
        read
    }

    /// The term being served, its leadership proven after the request arrived.
    async fn serving(&self, header: &Header, state: &RangeState) -> Result<Arc<Serving>, Refusal> {
        let Some(serving) = self.cell.serving() else {
            let role = self.group.role();
            if role.is_leader {
                return Err(Refusal::Unavailable("the range's leader is starting".to_owned()));
            }
            self.group.note_asked();
            return Err(Refusal::NotLeader(role.leader));
        };
        if header.span_epoch != state.span_epoch {
            let leader = self.group.role().leader.map_or(0, |leader| leader.store.node_id);
            return Err(Refusal::StaleRange(vec![descriptor(state, leader)]));
        }
        if self.group.is_unfit() {
            return Err(Refusal::NotLeader(None));
        }
        self.group.note_request();
        self.prove_leadership(serving.term).await?;
        Ok(serving)
    }
}

impl Evaluation<'_> {
    async fn run_all(
        &self,
        operations: Vec<v1::Operation>,
        results: &mut Vec<v1::OperationResult>,
    ) -> Result<(), Refusal> {
        for operation in operations {
            let operation =
                operation.operation.ok_or_else(|| Refusal::Unsupported("unknown operation".to_owned()))?;
            let result = self.run(operation).await?;
            results.push(v1::OperationResult { result: Some(result) });
        }
        Ok(())
    }

    async fn run(&self, operation: Operation) -> Result<OperationResult, Refusal> {
        let metrics = &self.replica.context.metrics;
        Ok(match operation {
            Operation::Get(get) => {
                metrics.gets.increment(get.keys.len() as u64);
                OperationResult::Get(self.get(get).await?)
            }
            Operation::Scan(scan) => {
                metrics.scans.increment(1);
                OperationResult::Scan(self.scan(scan).await?)
            }
            Operation::Versions(versions) => {
                metrics.scans.increment(1);
                OperationResult::Versions(self.versions(versions).await?)
            }
            Operation::Changes(changes) => {
                metrics.scans.increment(1);
                OperationResult::Changes(self.changes(changes).await?)
            }
            Operation::Export(export) => {
                metrics.scans.increment(1);
                OperationResult::Export(self.export(export).await?)
            }
            Operation::Lock(lock) => {
                metrics.locks.increment(lock.keys.len() as u64);
                OperationResult::Lock(self.lock(lock).await?)
            }
            Operation::Commit(commit) => OperationResult::Commit(self.commit(commit).await?),
            Operation::Validate(validate) => OperationResult::Validate(self.validate(validate).await?),
            Operation::Release(release) => OperationResult::Release(self.release(&release)?),
            Operation::Heartbeat(heartbeat) => OperationResult::Heartbeat(self.heartbeat(heartbeat)),
            Operation::Reclaim(reclaim) => OperationResult::Reclaim(self.reclaim(reclaim).await?),
            Operation::EraseHistory(erase) => OperationResult::EraseHistory(self.erase_history(erase).await?),
            Operation::Measure(measure) => OperationResult::Measure(self.measure(measure).await?),
            Operation::Ingest(ingest) => OperationResult::Ingest(self.ingest(ingest).await?),
            Operation::Prewrite(prewrite) => OperationResult::Prewrite(self.prewrite(prewrite).await?),
            Operation::Decide(decide) => OperationResult::Decide(self.decide(decide).await?),
            Operation::Resolve(resolve) => OperationResult::Resolve(self.resolve(resolve).await?),
            Operation::Recover(recover) => OperationResult::Recover(self.recover(recover).await?),
        })
    }
}

fn deadline(header: &Header) -> Option<Instant> {
    (header.timeout_ms > 0).then(|| env::clock::now() + Duration::from_millis(header.timeout_ms))
}

async fn passes(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => env::clock::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn count(refusal: &Refusal, metrics: &Metrics) {
    let counter = match refusal {
        Refusal::Conflict { .. } => &metrics.conflicts,
        Refusal::Deadlock { .. } => &metrics.deadlocks,
        Refusal::Ambiguous(_) | Refusal::Forgotten => &metrics.ambiguous,
        // It was counted where it was answered.
        Refusal::NotClosed { .. } => return,
        _ => &metrics.refusals,
    };
    counter.increment(1);
}
