//! The left range's side of a merge: the steps that its leader writes down in its log.

use proto::v1::range_command::Kind;
use proto::v1::{MergeAbortCommand, MergeBeginCommand, MergeCommand, MergeEndCommand, Neighbour, RangeState};

use super::apply::APPLIED;
use super::refusal::Refusal;
use super::replica::Replica;
use super::subsume::command_of;

impl Replica {
    /// Writes down that a merge begins.
    pub(crate) async fn begin_merge(&self, term: u64, right: Neighbour) -> Result<(), Refusal> {
        let begin = MergeBeginCommand { right: Some(right) };
        self.step(Some(term), Kind::MergeBegin(begin)).await
    }

    /// Takes the right range over, which is frozen on all stores. From when it is applied the range begins to serve anew. It is not
    /// known what came of it where the answer is an error.
    pub(crate) async fn take_over(
        &self,
        term: u64,
        right: Neighbour,
        frozen: RangeState,
    ) -> Result<(), Refusal> {
        let again = |why: &str| Refusal::Retry(why.to_owned());
        let serving = self.cell.serving().filter(|serving| serving.term == term);
        let serving = serving.ok_or(Refusal::NotLeader(self.group.role().leader))?;
        // Nothing may stand here that the right range has forgotten.
        let forgotten = frozen.forgotten.max(frozen.safe_point);
        let stands = serving.intents.oldest().is_some_and(|oldest| oldest <= forgotten);
        if !serving.bar(forgotten) || stands {
            return Err(again("transactions stand in the range that its neighbour has forgotten"));
        }
        let config_epoch = self.cell.state().config_epoch;
        let command = MergeCommand { right: Some(right), frozen: Some(frozen), config_epoch };
        self.step(Some(term), Kind::Merge(command)).await
    }

    /// Writes down that the merge does not come about, whoever has begun it.
    pub(crate) async fn abort_merge(&self, right: Neighbour) -> Result<(), Refusal> {
        self.step(None, Kind::MergeAbort(MergeAbortCommand { right: Some(right) })).await
    }

    /// Forgets a merge that does not come about, once the right range has thawed.
    pub(crate) async fn end_merge(&self, right: Neighbour) -> Result<(), Refusal> {
        self.step(None, Kind::MergeEnd(MergeEndCommand { right: Some(right) })).await
    }

    async fn step(&self, term: Option<u64>, kind: Kind) -> Result<(), Refusal> {
        let command = command_of(&self.cell.state(), kind);
        let proposed = match term {
            Some(term) => self.group.propose_in(term, command).await?,
            None => self.group.propose(command).await?,
        };
        if proposed.reply.as_ref() == APPLIED {
            return Ok(());
        }
        Err(Refusal::Retry("the merge is over, or the range is another by now".to_owned()))
    }
}
