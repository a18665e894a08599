//! How much room spans take here.

use proto::v1::{Measure, MeasureResult};

use super::Evaluation;
use crate::range::refusal::Refusal;

impl Evaluation<'_> {
    /// Measures each span. It may walk through a whole memtable, and so does that beside what answers requests.
    pub(crate) async fn measure(&self, measure: Measure) -> Result<MeasureResult, Refusal> {
        for span in &measure.spans {
            if span.end.is_empty() {
                return Err(Refusal::Invalid("a span to measure has two ends".to_owned()));
            }
            self.check_span(&span.start, &span.end)?;
        }
        let db = self.db().clone();
        let measured = env::task::blocking(move || -> lsm::Result<MeasureResult> {
            let spans = || measure.spans.iter();
            let bytes =
                spans().map(|span| db.span_bytes(&span.start, &span.end)).collect::<lsm::Result<_>>()?;
            let history = spans().filter(|_| measure.history);
            let history = history.map(|span| db.span_history_bytes(&span.start, &span.end));
            Ok(MeasureResult { bytes, history: history.collect::<lsm::Result<_>>()? })
        });
        let measured: lsm::Result<MeasureResult> =
            measured.await.map_err(|_| Refusal::Unavailable("the node is stopping".to_owned()))?;
        Ok(measured?)
    }
}
