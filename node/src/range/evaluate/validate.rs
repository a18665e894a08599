//! Read refresh: proves that what was read has not changed up to a later timestamp.

use proto::v1::{Validate, ValidateResult};

use super::Evaluation;
use super::pace::Pace;
use crate::range::memory::Slot;
use crate::range::refusal::Refusal;

impl Evaluation<'_> {
    /// Checks that nothing was committed in `(since, at]`, and counts as a read at `at`.
    pub(crate) async fn validate(&self, validate: Validate) -> Result<ValidateResult, Refusal> {
        if !validate.reserve.is_empty() {
            return Err(Refusal::Unsupported("transactions over several ranges".to_owned()));
        }
        let at = validate.at;
        self.admit(at).await?;
        self.check_checks(&validate.checks)?;
        let serving = &self.serving;
        for check in &validate.checks {
            if check.end.is_empty() {
                let slot = Slot::of(&check.start);
                serving.memory.raise_slot(slot, at);
                serving.inflight.settle_key(slot, &check.start, at).await?;
            } else {
                serving.memory.raise_span(&check.start, &check.end, at);
                serving.inflight.settle_span(&check.start, &check.end, at).await?;
            }
        }
        let mut pace = Pace::new();
        for check in &validate.checks {
            pace.step().await;
            self.check_unchanged(check, at)?;
        }
        Ok(ValidateResult {})
    }
}
