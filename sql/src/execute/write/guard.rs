//! What policies of row-level security and views ask of rows that are written, judged row by row.

use expr::{Datum, Expr};

use super::misfit;
use super::told::failing_row;
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::operators::{BoxOperator, build};
use crate::plan::{GuardCondition, GuardKind, RowGuard};

/// Judges rows of one table.
#[derive(Default)]
pub(crate) struct Guards(Vec<Guard>);

struct Guard {
    of: Option<String>,
    kind: GuardKind,
    given: Vec<usize>,
    condition: Condition,
}

enum Condition {
    Plain(Expr),
    /// Asked about the row, which it reads in slots from the first on.
    Asked {
        operator: BoxOperator,
        slot: usize,
        width: usize,
    },
}

impl Guards {
    pub(crate) fn new(guards: &[RowGuard]) -> Result<Self> {
        let guard = |own: &RowGuard| {
            let condition = match &own.condition {
                GuardCondition::Plain(condition) => Condition::Plain(condition.clone()),
                GuardCondition::Asked { node, slot, width } => {
                    Condition::Asked { operator: build(node)?, slot: *slot, width: *width }
                }
            };
            Ok(Guard { of: own.of.clone(), kind: own.kind, given: own.given.clone(), condition })
        };
        Ok(Self(guards.iter().map(guard).collect::<Result<_>>()?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 42501 if a row as it is, all columns of the table, is not what those ask that look at rows as they are.
    pub(crate) async fn judge_old(
        &mut self,
        cx: &mut Context<'_>,
        table: &TableDescriptor,
        row: &[Datum],
    ) -> Result<()> {
        self.judge(cx, table, row, |kind| matches!(kind, GuardKind::Conflict | GuardKind::Target)).await
    }

    /// 42501 if a row as it becomes, all columns of the table, is not what the others ask.
    pub(crate) async fn judge_new(
        &mut self,
        cx: &mut Context<'_>,
        table: &TableDescriptor,
        row: &[Datum],
    ) -> Result<()> {
        self.judge(cx, table, row, |kind| kind == GuardKind::New).await
    }

    /// 44000 if a row that has been written, all columns of the table, is not what the views ask that it was written
    /// through.
    pub(crate) async fn judge_written(
        &mut self,
        cx: &mut Context<'_>,
        table: &TableDescriptor,
        row: &[Datum],
    ) -> Result<()> {
        self.judge(cx, table, row, |kind| kind == GuardKind::View).await
    }

    /// Whether a row is what all of them ask.
    pub(crate) async fn hold(&mut self, cx: &mut Context<'_>, row: &[Datum]) -> Result<bool> {
        for guard in &mut self.0 {
            if !guard.holds(cx, row).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn judge(
        &mut self,
        cx: &mut Context<'_>,
        table: &TableDescriptor,
        row: &[Datum],
        counts: impl Fn(GuardKind) -> bool + Send + Sync,
    ) -> Result<()> {
        for guard in self.0.iter_mut().filter(|guard| counts(guard.kind)) {
            if !guard.holds(cx, row).await? {
                return Err(guard.broken(cx, table, row));
            }
        }
        Ok(())
    }
}

impl Guard {
    async fn holds(&mut self, cx: &mut Context<'_>, row: &[Datum]) -> Result<bool> {
        match &mut self.condition {
            Condition::Plain(condition) => {
                let condition = &*condition;
                cx.settled(|cx| cx.holds(condition, row)).await
            }
            Condition::Asked { operator, slot, width } => {
                let row = row.get(..*width).ok_or_else(misfit)?;
                for (place, value) in (*slot..).zip(row) {
                    cx.set_slot(place, value.clone())?;
                }
                operator.rewind(cx);
                let mut answer = false;
                while let Some(rows) = operator.next(cx).await? {
                    answer |= rows.iter().any(|row| matches!(row.first(), Some(Datum::Bool(true))));
                }
                operator.rewind(cx);
                Ok(answer)
            }
        }
    }

    fn broken(&self, cx: &Context<'_>, table: &TableDescriptor, row: &[Datum]) -> Error {
        let of = self.of.as_deref();
        let (which, using) = match self.kind {
            GuardKind::New => ("new row", ""),
            GuardKind::Conflict => ("new row", " (USING expression)"),
            GuardKind::Target => ("target row", " (USING expression)"),
            GuardKind::View => {
                let view = of.unwrap_or_default();
                let message = format!("new row violates check option for view \"{view}\"");
                let error = Error::new("44000", message);
                return match failing_row(cx, table, row, &self.given) {
                    Some(detail) => error.detail(detail),
                    None => error,
                };
            }
        };
        let policy = of.map(|policy| format!(" \"{policy}\"")).unwrap_or_default();
        let message =
            format!("{which} violates row-level security policy{policy}{using} for table \"{}\"", table.name);
        Error::new("42501", message)
    }
}
