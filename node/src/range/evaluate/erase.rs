//! Erases what spans were before a timestamp: from then on nobody reads it.

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{EraseHistory, EraseHistoryCommand, EraseHistoryResult, RangeCommand};

use super::Evaluation;
use crate::range::apply::{APPLIED, FULL};
use crate::range::erased::BYTES_MAX;
use crate::range::refusal::Refusal;
use crate::range::state::FORMAT_ERASED;

impl Evaluation<'_> {
    /// Erases it. The disk's reserve does not count: this frees room.
    pub(crate) async fn erase_history(&self, erase: EraseHistory) -> Result<EraseHistoryResult, Refusal> {
        let EraseHistory { spans, before } = erase;
        let mut reached = Bytes::new();
        for span in &spans {
            if span.end.is_empty() || span.start >= span.end || span.start < reached {
                return Err(Refusal::Invalid("spans to erase ascend, and each has two ends".to_owned()));
            }
            self.check_span(&span.start, &span.end)?;
            reached = span.end.clone();
        }
        if spans.is_empty() {
            return Err(Refusal::Invalid("there is nothing to erase".to_owned()));
        }
        self.admit(before).await?;
        let command = RangeCommand {
            format: FORMAT_ERASED,
            span_epoch: self.state.span_epoch,
            kind: Some(Kind::EraseHistory(EraseHistoryCommand { spans, before })),
            ..RangeCommand::default()
        };
        let command = Bytes::from(command.encode_to_vec());
        let proposed = self.replica.group.propose_in(self.serving.term, command).await?;
        match proposed.reply.as_ref() {
            APPLIED => Ok(EraseHistoryResult {}),
            FULL => {
                let (what, bytes_max) = ("what a range remembers of erased history", BYTES_MAX as u64);
                Err(Refusal::TooLarge { what, bytes: bytes_max + 1, bytes_max })
            }
            _ => Err(Refusal::Retry("the range is being merged, or is another by now".to_owned())),
        }
    }
}
