//! How long history is kept: all of it, and that of spans which are to be kept for longer.

use env::task::boxed;
use keys::Span;
use proto::v1::{KeepHistoryRequest, KeepHistoryResponse};

use crate::{Client, CommitTimestamp, Error, Result};

/// A span of keys whose history is kept for longer than all other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHistory {
    /// The span.
    pub span: Span,
    /// For how long; 0: for ever.
    pub history_ms: u64,
    /// Until this Unix time nothing of it is forgotten; 0: it may be.
    pub held_until_ms: u64,
    /// It, or some of it, lies below branches: whoever does not know of these does not have it forgotten.
    pub below: bool,
}

/// What the cluster keeps of history that nobody wants to be kept for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// For how long; 0: for ever.
    pub history_ms: u64,
    /// About where it begins; 0: nothing is forgotten yet.
    pub safe_point: CommitTimestamp,
    /// The newest timestamp that was handed out.
    pub newest: CommitTimestamp,
}

/// What the cluster is told of history, or asked.
#[derive(Default)]
struct HistoryAsked<'k> {
    version: u64,
    kept: &'k [KeptHistory],
    set_ms: Option<u64>,
    erases: bool,
    branches: bool,
}

/// What the cluster's leader knows of what it was asked.
struct Heeded {
    erasure: bool,
    branches: bool,
}

impl Client {
    /// How long history is kept.
    #[boxed]
    pub async fn history(&self) -> Result<History> {
        self.ask_history(HistoryAsked::default()).await.map(|(history, _)| history)
    }

    /// From now on all history that nobody wants to be kept for longer is kept for so long; 0: for ever.
    #[boxed]
    pub async fn set_history(&self, history_ms: u64) -> Result<History> {
        let asked = HistoryAsked { set_ms: Some(history_ms), ..HistoryAsked::default() };
        self.ask_history(asked).await.map(|(history, _)| history)
    }

    /// From now on these spans' history is kept for longer, and no others' any more. They ascend, and none overlaps another. What was
    /// said with a larger version, a timestamp, stays in force.
    #[boxed]
    pub async fn keep_history(&self, version: CommitTimestamp, kept: &[KeptHistory]) -> Result<History> {
        let branches = kept.iter().any(|kept| kept.below);
        let asked = HistoryAsked { version, kept, branches, ..HistoryAsked::default() };
        match self.ask_history(asked).await? {
            (_, heeded) if branches && !heeded.branches => Err(knows_no_branches()),
            (history, _) => Ok(history),
        }
    }

    /// That all nodes run programs that heed what lies below branches.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: one of them does not, or has not said so yet.
    #[boxed]
    pub async fn check_branches(&self) -> Result<()> {
        let asked = HistoryAsked { branches: true, ..HistoryAsked::default() };
        match self.ask_history(asked).await? {
            (_, heeded) if heeded.branches => Ok(()),
            _ => Err(knows_no_branches()),
        }
    }

    /// That all nodes run programs that heed what is erased.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: one of them does not, or has not said so yet.
    #[boxed]
    pub async fn check_erasure(&self) -> Result<()> {
        let asked = HistoryAsked { erases: true, ..HistoryAsked::default() };
        match self.ask_history(asked).await? {
            (_, heeded) if heeded.erasure => Ok(()),
            _ => {
                let message = "the cluster's leader runs a program that erases no history".to_owned();
                Err(Error::Unavailable { message, source: None })
            }
        }
    }

    /// What is kept, and what is known there of what was asked.
    async fn ask_history(&self, asked: HistoryAsked<'_>) -> Result<(History, Heeded)> {
        let HistoryAsked { version, kept, set_ms, erases, branches } = asked;
        let tell = |node: std::sync::Arc<dyn proto::NodeService>, cluster_id: bytes::Bytes, forward: bool| {
            let kept = kept.iter().map(to_wire).collect();
            let request = KeepHistoryRequest {
                cluster_id,
                forward,
                version,
                kept,
                set_ms,
                erases,
                branches,
                heeds_branches: true,
            };
            async move { node.keep_history(request).await }
        };
        let answer = self.sender.ask_root(self.options().timeout, tell).await?;
        let KeepHistoryResponse { history_ms, safe_point, newest, may_erase, heeds_branches } = answer;
        let heeded = Heeded { erasure: may_erase, branches: heeds_branches };
        Ok((History { history_ms, safe_point, newest }, heeded))
    }
}

fn knows_no_branches() -> Error {
    let message = "the cluster's leader runs a program that knows of no clones".to_owned();
    Error::Unavailable { message, source: None }
}

fn to_wire(kept: &KeptHistory) -> proto::v1::KeptHistory {
    let span = proto::v1::Span { start: kept.span.start.clone(), end: kept.span.end.clone() };
    proto::v1::KeptHistory {
        span: Some(span),
        history_ms: kept.history_ms,
        held_until_ms: kept.held_until_ms,
    }
}
