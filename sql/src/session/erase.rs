//! ERASE HISTORY, as a session says it: by itself, outside of any transaction.

use client::Span;
use expr::{Datum, EvalContext, Expr};
use keys::span::prefix_end;

use super::Session;
use super::run::guard;
use super::transaction::Block;
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::execute::IndexFormat;
use crate::execute::ddl::{Erasure, erase_history};
use crate::moment;
use crate::plan::{EraseHistory, ErasedRows};

impl Session {
    /// ERASE HISTORY
    pub(super) async fn erase_history(&mut self, erase: &EraseHistory) -> Result<()> {
        if self.transaction.block != Block::Idle {
            return Err(Error::new("25001", "ERASE HISTORY cannot run inside a transaction block"));
        }
        if self.modes().read_only {
            let message = "cannot execute ERASE HISTORY in a read-only transaction";
            return Err(Error::new("25006", message));
        }
        let context = EvalContext::new(&[], &[], &self.context);
        let rows = erase.rows.as_ref().map(|rows| span_of(&erase.table, rows, &context)).transpose()?;
        let client = self.engine.client().clone();
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let before = match &erase.before {
            None => client.timestamp().await?.timestamp,
            Some(said) => {
                let value = said.value.evaluate(&context)?;
                let placed = |error| moment::placed(error, said.at);
                let wanted = moment::meant(&value, &self.context).map_err(placed)?.last;
                let reached = guard(&cancel, deadline, moment::reached(&client, wanted)).await;
                reached.map_err(placed)?
            }
        };
        let erasure = Erasure {
            database: erase.database,
            table: &erase.table,
            rows,
            before,
            role: &self.context.current_user,
        };
        guard(&cancel, deadline, erase_history(&client, &erasure)).await
    }
}

/// The keys of rows.
fn span_of(table: &TableDescriptor, rows: &ErasedRows, context: &EvalContext<'_>) -> Result<Span> {
    let primary = table.primary().ok_or_else(|| Error::internal("a table without a primary index"))?;
    let format = IndexFormat::new(table, primary)?;
    let key = |values: &[Expr]| {
        let values =
            values.iter().map(|value| Ok(value.evaluate(context)?)).collect::<Result<Vec<Datum>>>()?;
        if values.iter().any(Datum::is_null) {
            return Err(Error::new("22004", "a primary key has no NULLs"));
        }
        format.first_key(&values)
    };
    let span = Span { start: key(&rows.from)?, end: prefix_end(&key(&rows.to)?) };
    if span.start >= span.end {
        return Err(Error::new("22023", "the rows end before they begin"));
    }
    Ok(span)
}
