//! Deletes a span that was given up, once no read can see it any more.

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{RangeCommand, Reclaim, ReclaimCommand, ReclaimResult};

use super::Evaluation;
use crate::range::apply::APPLIED;
use crate::range::kept;
use crate::range::refusal::Refusal;
use crate::range::state::FORMAT;

impl Evaluation<'_> {
    /// Deletes the span with all its versions, or says that it is too early. The disk's reserve does not count: this
    /// frees room.
    pub(crate) async fn reclaim(&self, reclaim: Reclaim) -> Result<ReclaimResult, Refusal> {
        let span = reclaim.span.unwrap_or_default();
        if span.end.is_empty() || span.start >= span.end || reclaim.given_up == 0 {
            return Err(Refusal::Invalid("a span to reclaim has two ends and a timestamp".to_owned()));
        }
        self.check_span(&span.start, &span.end)?;
        let (readable, _) = kept::safe_points_over(&self.replica.cell.state(), &span.start, &span.end);
        if reclaim.given_up > readable {
            return Ok(ReclaimResult { done: false });
        }
        let command = ReclaimCommand { span: Some(span), given_up: reclaim.given_up };
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: self.state.span_epoch,
            kind: Some(Kind::Reclaim(command)),
            ..RangeCommand::default()
        };
        let command = Bytes::from(command.encode_to_vec());
        let proposed = self.replica.group.propose_in(self.serving.term, command).await?;
        Ok(ReclaimResult { done: proposed.reply == APPLIED })
    }
}
