//! Erases what spans were before a timestamp: from then on nobody reads it.

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{EraseHistory, EraseHistoryCommand, EraseHistoryResult, RangeCommand};

use super::Evaluation;
use crate::range::apply::{APPLIED, FULL};
use crate::range::erased::{BYTES_MAX, bytes_of};
use crate::range::refusal::Refusal;
use crate::range::state::{FORMAT_ERASED, is_held};

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
        // As it stands in the log it is bounded, too.
        let wanted = bytes_of(&spans);
        if wanted > BYTES_MAX {
            return Err(full(wanted));
        }
        self.admit(before).await?;
        if is_held(&self.replica.cell.state()) {
            return Err(again());
        }
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
            FULL => Err(full(BYTES_MAX.saturating_add(wanted))),
            _ => Err(again()),
        }
    }
}

/// There is no room to remember so many bytes.
fn full(bytes: usize) -> Refusal {
    let what = "what a range remembers of erased history";
    Refusal::TooLarge { what, bytes: bytes as u64, bytes_max: BYTES_MAX as u64 }
}

fn again() -> Refusal {
    Refusal::Retry("the range is being merged, or is another by now".to_owned())
}
