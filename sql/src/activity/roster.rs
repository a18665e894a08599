//! The sessions of a gateway, and those of all others.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Client;
use client::gateways::{
    GatewayAnswer, GatewayQuestion, Kind, NotifiedQuestion, SessionInfo, SessionsQuestion, SignalQuestion,
    StatementCounts, StatementsQuestion, UsageCounts, UsageQuestion,
};
use env::watch;
use parking_lot::Mutex;

use super::job::Job;
use super::session::Activity;
use super::statements::{Statements, merge};
use super::usage::{self, Counts, Usage, UsedObject};
use crate::catalog::Oid;
use crate::error::Result;

/// After how long a gateway attends again whom nobody heard.
const AGAIN: Duration = Duration::from_secs(1);

/// What is answered at once holds about as many bytes at most, and one answer more; who asks beyond that goes without.
const ANSWERS_BYTES_MAX: usize = 32 << 20;

/// The sessions of a gateway.
#[derive(Default)]
pub(crate) struct Roster {
    sessions: Mutex<BTreeMap<i32, Arc<Activity>>>,
    statements: Statements,
    usage: Arc<Usage>,
    /// Rises when another gateway says that there are notifications.
    notified: Arc<watch::Sender<u64>>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("sessions", &self.sessions.lock().len()).finish_non_exhaustive()
    }
}

/// All sessions of the cluster at about one moment.
#[derive(Debug, Default)]
pub(crate) struct Everyone {
    /// The sessions, by number.
    pub(crate) sessions: Vec<SessionInfo>,
    /// The transactions that wait for locks, each with those that it waits for.
    pub(crate) waits: BTreeMap<Bytes, Vec<Bytes>>,
}

impl Everyone {
    /// The session of this number.
    pub(crate) fn session(&self, pid: i32) -> Option<&SessionInfo> {
        self.sessions.iter().find(|session| session.pid == pid)
    }

    /// The sessions in a database.
    pub(crate) fn of_database(&self, name: &str) -> Vec<&SessionInfo> {
        self.sessions.iter().filter(|session| session.database == name).collect()
    }

    /// The transactions that a session waits for.
    pub(crate) fn blockers(&self, session: &SessionInfo) -> &[Bytes] {
        if session.transaction_id.is_empty() {
            return &[];
        }
        self.waits.get(&session.transaction_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The numbers of the sessions whose transactions a session waits for.
    pub(crate) fn blocking_pids(&self, session: &SessionInfo) -> Vec<i32> {
        let blockers = self.blockers(session);
        let blocks = |other: &&SessionInfo| blockers.contains(&other.transaction_id);
        self.sessions.iter().filter(blocks).map(|other| other.pid).collect()
    }
}

/// A session that is on the roster, until dropped.
pub(crate) struct Enlisted {
    roster: Arc<Roster>,
    activity: Arc<Activity>,
}

impl Deref for Enlisted {
    type Target = Activity;

    fn deref(&self) -> &Activity {
        &self.activity
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.roster.sessions.lock().remove(&self.activity.pid);
    }
}

impl Roster {
    /// A session is there.
    pub(crate) fn enlist(self: &Arc<Self>, activity: Arc<Activity>) -> Enlisted {
        self.sessions.lock().insert(activity.pid, activity.clone());
        Enlisted { roster: self.clone(), activity }
    }

    /// Something that takes long begins, of the session of this number.
    pub(crate) fn begin_job(&self, pid: i32, kind: &'static str) -> Job {
        let jobs = self.sessions.lock().get(&pid).map(|activity| activity.jobs.clone());
        // Of a session that nobody knows nobody sees what it is at.
        jobs.unwrap_or_default().begin(kind)
    }

    /// Rises when another gateway says that there are notifications.
    pub(crate) fn notified(&self) -> &Arc<watch::Sender<u64>> {
        &self.notified
    }

    /// What statements have taken here.
    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    /// What was done to tables here.
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// What was done to tables, indexes and databases in the whole cluster.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn all_usage(&self, client: &Client) -> Result<BTreeMap<UsedObject, Counts>> {
        let heard = client.ask_gateways(Kind::Usage(UsageQuestion::default())).await?;
        let others = heard.answers.into_iter().flat_map(|answer| answer.usage);
        Ok(usage::merge(self.usage.counts().into_iter().chain(others)))
    }

    /// Has all gateways begin anew to count what is done in a database, or to one object of it.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn forget_usage(&self, client: &Client, database: Oid, of: Option<Oid>) -> Result<()> {
        let question = UsageQuestion { reset: true, database, oid: of.unwrap_or(0) };
        self.used(&question);
        client.ask_gateways(Kind::Usage(question)).await?;
        Ok(())
    }

    /// All sessions of the cluster.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn everyone(&self, client: &Client) -> Result<Everyone> {
        let heard = client.ask_gateways(Kind::Sessions(SessionsQuestion {})).await?;
        let mut sessions = self.here();
        for session in &mut sessions {
            session.gateway_id = client.gateway_id().clone();
        }
        sessions.extend(heard.answers.into_iter().flat_map(|answer| answer.sessions));
        sessions.sort_by_key(|session| session.pid);
        Ok(Everyone { sessions, waits: heard.waits })
    }

    /// What statements have taken in the whole cluster; forgets it if that is asked for.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn all_statements(&self, client: &Client, reset: bool) -> Result<Vec<StatementCounts>> {
        let question = StatementsQuestion { reset };
        let heard = client.ask_gateways(Kind::Statements(question)).await?;
        let others = heard.answers.into_iter().flat_map(|answer| answer.statements);
        Ok(merge(self.counts(&question).into_iter().chain(others)))
    }

    /// Ends a session, or what it is running, wherever it is; false: it is gone.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn signal(
        &self,
        client: &Client,
        session: &SessionInfo,
        terminate: bool,
    ) -> Result<bool> {
        let question = SignalQuestion { pid: session.pid, started_us: session.started_us, terminate };
        if self.signal_here(&question) {
            return Ok(true);
        }
        let heard = client.ask_gateways(Kind::Signal(question)).await?;
        Ok(heard.answers.iter().any(|answer| answer.signalled))
    }

    /// Answers for the sessions here when others ask. Never completes.
    pub(crate) async fn attend(&self, client: &Client) {
        let mut answers: Vec<GatewayAnswer> = Vec::new();
        loop {
            match client.attend(&answers).await {
                Ok(questions) => answers = self.answers(&questions),
                Err(error) => {
                    tracing::debug!(%error, "other gateways cannot ask this one");
                    // Nobody waits for them any more; and were they what cannot be sent, nothing ever would be.
                    answers.clear();
                    env::clock::sleep(AGAIN).await;
                }
            }
        }
    }

    fn answers(&self, questions: &[GatewayQuestion]) -> Vec<GatewayAnswer> {
        let (mut answers, mut bytes) = (Vec::with_capacity(questions.len()), 0_usize);
        for question in questions {
            let is_done_here = matches!(
                &question.kind,
                Some(
                    Kind::Signal(_)
                        | Kind::Statements(StatementsQuestion { reset: true })
                        | Kind::Usage(UsageQuestion { reset: true, .. })
                        | Kind::Notified(NotifiedQuestion {})
                )
            );
            if is_done_here || bytes < ANSWERS_BYTES_MAX {
                let answer = self.answer(question);
                bytes = bytes.saturating_add(size(&answer));
                answers.push(answer);
            }
        }
        answers
    }

    fn answer(&self, question: &GatewayQuestion) -> GatewayAnswer {
        let answer = GatewayAnswer { number: question.number, ..GatewayAnswer::default() };
        match &question.kind {
            Some(Kind::Sessions(SessionsQuestion {})) => GatewayAnswer { sessions: self.here(), ..answer },
            Some(Kind::Signal(signal)) => GatewayAnswer { signalled: self.signal_here(signal), ..answer },
            Some(Kind::Statements(asked)) => GatewayAnswer { statements: self.counts(asked), ..answer },
            Some(Kind::Usage(asked)) => GatewayAnswer { usage: self.used(asked), ..answer },
            Some(Kind::Notified(NotifiedQuestion {})) => {
                self.notified.send_modify(|count| *count = count.wrapping_add(1));
                answer
            }
            // Of a newer version.
            None => answer,
        }
    }

    fn here(&self) -> Vec<SessionInfo> {
        let sessions: Vec<Arc<Activity>> = self.sessions.lock().values().cloned().collect();
        sessions.iter().map(|session| session.info()).collect()
    }

    fn counts(&self, asked: &StatementsQuestion) -> Vec<StatementCounts> {
        if asked.reset {
            self.statements.reset();
            return Vec::new();
        }
        self.statements.counts()
    }

    fn used(&self, asked: &UsageQuestion) -> Vec<UsageCounts> {
        if asked.reset {
            self.usage.reset(asked.database, asked.oid);
            return Vec::new();
        }
        self.usage.counts()
    }

    fn signal_here(&self, signal: &SignalQuestion) -> bool {
        let sessions = self.sessions.lock();
        let found = sessions.get(&signal.pid).filter(|session| session.started_us == signal.started_us);
        let Some(session) = found else { return false };
        match signal.terminate {
            true => session.signals.terminate(),
            false => session.signals.cancel(),
        }
        true
    }
}

/// About how many bytes an answer takes.
fn size(answer: &GatewayAnswer) -> usize {
    /// All but the texts.
    const REST: usize = 256;
    let sessions = answer.sessions.iter().map(|session| session.query.len().saturating_add(REST));
    let statements = answer.statements.iter().map(|statement| statement.query.len().saturating_add(REST));
    let usage = answer.usage.len().saturating_mul(size_of::<UsageCounts>());
    sessions.chain(statements).fold(usage, usize::saturating_add)
}
