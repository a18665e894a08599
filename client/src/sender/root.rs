//! What only the root range's leader answers: timestamps and ids.
//!
//! The node that answered last is asked. When it says nothing for [`HEDGE`] it is waited for still, but all others are
//! asked as well, in rounds, and whoever answers first will do: a timestamp or an id that is never used is no loss. A
//! node that is not the leader names it, or passes the request on where the leader does not answer to us.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use proto::v1::{TimestampRequest, TimestampResponse};
use proto::{Code, NodeService, Status};

use super::Sender;
use super::attempts::Attempts;
use super::call::definite;
use crate::Result;
use crate::router::{Peer, RootLead};

/// How long the node that is taken for the leader is waited for before the others are asked as well.
const HEDGE: Duration = Duration::from_millis(500);

/// How long a node may take to answer in one of the rounds after that.
const ROUND_PATIENCE: Duration = Duration::from_millis(400);

/// How long a node may take to answer that passes the request on.
const FORWARD_PATIENCE: Duration = Duration::from_millis(600);

impl Sender {
    /// `count` consecutive timestamps.
    pub(crate) async fn timestamps(&self, count: u32, timeout: Duration) -> Result<TimestampResponse> {
        self.ask_root(timeout, |node, cluster_id, forward| async move {
            node.timestamp(TimestampRequest { cluster_id, count, forward }).await
        })
        .await
    }

    /// Asks the root's leader, wherever it is, until it answers. `ask` is given a node, the cluster, and whether a node
    /// that does not lead is to pass the request on.
    pub(crate) async fn ask_root<T, F>(
        &self,
        timeout: Duration,
        ask: impl Fn(Arc<dyn NodeService>, Bytes, bool) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut attempts = Attempts::new(timeout);
        loop {
            attempts.made += 1;
            let cluster_id = self.router.cluster_id();
            if cluster_id.is_empty() {
                match self.router.refresh(self.router.generation()).await {
                    Ok(()) => continue,
                    Err(status) => {
                        if let Some(error) = definite(&status) {
                            return Err(error);
                        }
                        attempts.failed(status);
                        attempts.pause(Duration::ZERO).await?;
                        continue;
                    }
                }
            }
            let asked = match self.root_lead() {
                Some(lead) => self.ask_lead(&lead, &cluster_id, &mut attempts, &ask).await,
                None => self.ask_all(None, &cluster_id, &mut attempts, &ask).await,
            };
            match asked {
                Ok(answer) => return Ok(answer),
                Err(status) => {
                    if let Some(error) = definite(&status) {
                        return Err(error);
                    }
                    if is_address(status.message()) && attempts.follows_hint() {
                        continue;
                    }
                    if !is_address(status.message()) || attempts.message.is_empty() {
                        attempts.failed(status);
                    }
                }
            }
            if attempts.made.is_multiple_of(4) {
                // Without an answer we go on with what we know.
                let _ = self.router.look_up(&[keys::keyspace::ROOT]).await;
            }
            attempts.pause(Duration::ZERO).await?;
        }
    }

    /// Whom to ask; the leader itself, once it can be reached again.
    fn root_lead(&self) -> Option<RootLead> {
        let lead = self.router.root()?;
        let Some(leader) = &lead.behind else {
            return (!lead.peer.is_silent()).then_some(lead);
        };
        if leader.is_silent() {
            leader.look(self.router.cluster_id());
            return Some(lead);
        }
        let direct = RootLead { peer: leader.clone(), behind: None };
        self.router.root_is(direct.clone());
        Some(direct)
    }

    /// Asks whom we take for the leader, and after a while the others too.
    async fn ask_lead<T, F>(
        &self,
        lead: &RootLead,
        cluster_id: &Bytes,
        attempts: &mut Attempts,
        ask: &impl Fn(Arc<dyn NodeService>, Bytes, bool) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut asked = pin!(ask(lead.peer.handle.clone(), cluster_id.clone(), lead.behind.is_some()));
        let answer = match clock::timeout(HEDGE.min(attempts.left()), asked.as_mut()).await {
            Ok(answer) => answer,
            Err(_) => {
                lead.peer.look(cluster_id.clone());
                loop {
                    if attempts.left().is_zero() {
                        break Err(Status::deadline_exceeded(format!(
                            "{} did not answer",
                            lead.peer.address
                        )));
                    }
                    tokio::select! {
                        biased;
                        answer = asked.as_mut() => break answer,
                        others = self.ask_all(Some(&lead.peer), cluster_id, attempts, ask) => {
                            if let Ok(answer) = others {
                                return Ok(answer);
                            }
                        }
                    }
                    // A round of quick refusals must not become a storm.
                    clock::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        if let Err(status) = &answer {
            if is_named(status) {
                self.follow(&lead.peer, status.message());
            } else {
                self.router.root_is_not(&lead.peer.address);
            }
        }
        if lead.behind.is_none() {
            lead.peer.note(&answer);
        }
        answer
    }

    /// Asks all nodes that may lead, but for the one that was asked already.
    async fn ask_all<T, F>(
        &self,
        but: Option<&Arc<Peer>>,
        cluster_id: &Bytes,
        attempts: &mut Attempts,
        ask: &impl Fn(Arc<dyn NodeService>, Bytes, bool) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut peers = self.router.root_peers();
        peers.retain(|peer| but.is_none_or(|but| !Arc::ptr_eq(peer, but)));
        // Who did not answer before is asked too, but the round does not wait for it.
        let mut expected = peers.iter().filter(|peer| !peer.is_silent()).count();
        let wait_for_all = expected == 0;
        let mut asked: FuturesUnordered<_> = peers
            .into_iter()
            .map(|peer| async move {
                let counts = !peer.is_silent();
                (counts, self.ask_one(peer, but, cluster_id, ask).await)
            })
            .collect();
        let mut last = Status::unavailable("no node leads the root range");
        while wait_for_all || expected > 0 {
            let Some((counts, answer)) = asked.next().await else { break };
            expected -= usize::from(counts);
            match answer {
                Ok((answer, lead)) => {
                    self.router.root_is(lead);
                    return Ok(answer);
                }
                Err(status) if definite(&status).is_some() => return Err(status),
                // Where that leads to is known now.
                Err(status) if is_named(&status) && but.is_none() && self.router.root().is_some() => {
                    return Err(status);
                }
                Err(status) => last = status,
            }
        }
        attempts.failed(last.clone());
        Err(last)
    }

    /// Asks one node; if it names a leader that does not answer to us, to pass the request on.
    async fn ask_one<T, F>(
        &self,
        peer: Arc<Peer>,
        unanswered: Option<&Arc<Peer>>,
        cluster_id: &Bytes,
        ask: &impl Fn(Arc<dyn NodeService>, Bytes, bool) -> F,
    ) -> Result<(T, RootLead), Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let late = |_| Status::deadline_exceeded(format!("{} did not answer", peer.address));
        let asked = ask(peer.handle.clone(), cluster_id.clone(), false);
        let answer = clock::timeout(ROUND_PATIENCE, asked).await.unwrap_or_else(|passed| Err(late(passed)));
        peer.note(&answer);
        let status = match answer {
            Ok(answer) => return Ok((answer, RootLead { peer, behind: None })),
            Err(status) => status,
        };
        if !is_named(&status) {
            return Err(status);
        }
        let leader = self.router.peer(status.message());
        if !leader.is_silent() && unanswered.is_none_or(|asked| !Arc::ptr_eq(asked, &leader)) {
            self.follow(&peer, status.message());
            return Err(status);
        }
        let asked = ask(peer.handle.clone(), cluster_id.clone(), true);
        let answer = clock::timeout(FORWARD_PATIENCE, asked).await.unwrap_or_else(|passed| Err(late(passed)));
        answer.map(|answer| (answer, RootLead { peer: peer.clone(), behind: Some(leader) }))
    }

    /// `by` names another node as the leader.
    fn follow(&self, by: &Arc<Peer>, address: &str) {
        let peer = self.router.peer(address);
        if peer.is_silent() {
            self.router.root_is_not(&by.address);
        } else {
            self.router.root_is(RootLead { peer, behind: None });
        }
    }
}

/// Whether a node that does not lead says who does.
fn is_named(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && is_address(status.message())
}

fn is_address(message: &str) -> bool {
    message
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains(' ') && port.parse::<u16>().is_ok())
}
