//! Answers to what functions ask while a row is evaluated, see [`crate::questions`].

use expr::Datum;

use super::context::Context;
use crate::activity::ask::Asking;
use crate::error::Result;
use crate::notify;
use crate::questions::{AdvisoryAct, Question};
use crate::sequence::Asked;

impl Context<'_> {
    /// Waits for what answers the question.
    pub(super) async fn answer(&mut self, question: Question) -> Result<Datum> {
        let (oid, asked) = match question {
            Question::NextValue(oid) => (oid, Asked::Next),
            Question::SetValue(oid, state) => (oid, Asked::Set(state)),
            Question::LastValue(oid) => (oid, Asked::Last),
            Question::Sleep(time) => {
                env::clock::sleep(time).await;
                return Ok(void());
            }
            Question::Advisory(advisory) => {
                let timeout = self.transaction.options().lock_timeout;
                let done = self.advisory.act(self.transaction, timeout, advisory).await?;
                return Ok(match advisory.act {
                    AdvisoryAct::Take { waits: true, .. } | AdvisoryAct::GiveAllBack => void(),
                    AdvisoryAct::Take { .. } | AdvisoryAct::GiveBack { .. } => Datum::Bool(done),
                });
            }
            Question::QueueUsage => return Ok(Datum::Float8(notify::usage(self.client).await?)),
            Question::Sessions(question, user) => {
                let asking =
                    Asking { roster: self.roster, client: self.client, catalog: self.catalog, user: &user };
                let (answer, warning) = asking.answer(&question).await?;
                self.warnings.extend(warning);
                return Ok(answer);
            }
        };
        self.sequences.answer(oid, asked, self.client, self.catalog, self.catalog_version).await
    }
}

/// The value of a function that has none.
fn void() -> Datum {
    Datum::text("")
}
