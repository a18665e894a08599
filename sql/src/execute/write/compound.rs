//! Statements that change rows in several parts: WITH queries that do more than read, and the statement itself.
//!
//! ```text
//! main statement ─▶ its rows     the queries of WITH that change rows, the last first ─▶ their ends, named or not
//!          └──────────────── what both write is held back ───────────────┘
//!                                          ▼
//!                     written, then what is owed to other tables is settled
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use expr::Row;
use parking_lot::Mutex;

use super::{
    Changed, DeleteExecution, InsertExecution, MergeExecution, Outcome, References, UpdateExecution,
    WRITE_BATCH_ROWS, misfit,
};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::held_back::HeldBack;
use crate::execute::memory::row_bytes;
use crate::execute::operators::{BoxOperator, Building, Operator};
use crate::execute::truth::Truths;
use crate::plan::{Compound, Modify, Plan};

/// What the parts owe to other tables, in the order in which they have ended.
type Owed = Arc<Mutex<Vec<References>>>;

/// Such a statement under way.
pub(crate) struct CompoundExecution {
    main: Main,
    effects: Vec<BoxOperator>,
    owed: Owed,
}

enum Main {
    Query(BoxOperator),
    Modify(Box<Modifying>),
}

/// A part that changes rows.
enum Modifying {
    Insert(Box<InsertExecution>),
    Update(UpdateExecution),
    Delete(DeleteExecution),
    Merge(Box<MergeExecution>),
}

impl Modifying {
    fn new(modify: &Modify, building: &mut Building) -> Result<Self> {
        Ok(match modify {
            Modify::Insert(insert) => {
                Self::Insert(Box::new(InsertExecution::new(insert, building.node(&insert.source)?)?))
            }
            Modify::Update(update) => {
                Self::Update(UpdateExecution::new(update, building.node(&update.source)?)?)
            }
            Modify::Delete(delete) => {
                Self::Delete(DeleteExecution::new(delete, building.node(&delete.source)?)?)
            }
            Modify::Merge(merge) => {
                Self::Merge(Box::new(MergeExecution::new(merge, building.node(&merge.source)?)?))
            }
            Modify::Compound(_) | Modify::CopyFrom(_) | Modify::CopyTo(_) => return Err(misfit()),
        })
    }

    async fn change(&mut self, cx: &mut Context<'_>) -> Result<Changed> {
        match self {
            Self::Insert(insert) => insert.change(cx).await,
            Self::Update(update) => update.change(cx).await,
            Self::Delete(delete) => delete.change(cx).await,
            Self::Merge(merge) => merge.change(cx).await,
        }
    }

    /// Runs it to its end.
    async fn run(&mut self, cx: &mut Context<'_>, owed: &Owed) -> Result<Outcome> {
        let changed = self.change(cx).await?;
        owed.lock().extend(changed.owed);
        Ok(changed.outcome)
    }
}

impl CompoundExecution {
    pub(crate) fn new(compound: &Compound, truths: Option<&Arc<Truths>>) -> Result<Self> {
        let owed = Owed::default();
        let parts = owed.clone();
        let mut building = Building::new(
            Arc::new(move |plan: &Plan, building: &mut Building| {
                let Plan::Modify(modify) = plan else { return Err(misfit()) };
                let modifying = Modifying::new(modify, building)?;
                Ok(Box::new(ModifyOperator { modifying, owed: parts.clone(), rows: None, given: 0 })
                    as BoxOperator)
            }),
            truths.cloned(),
        );
        let main = match compound.main.as_ref() {
            Plan::Query(node) => Main::Query(building.node(node)?),
            Plan::Modify(modify) => Main::Modify(Box::new(Modifying::new(modify, &mut building)?)),
            _ => {
                return Err(Error::internal(
                    "a statement that neither reads nor changes rows has parts that do",
                ));
            }
        };
        let effects = compound.effects.iter().map(|effect| building.node(effect)).collect::<Result<_>>()?;
        Ok(Self { main, effects, owed })
    }

    /// Runs all of it.
    pub(crate) async fn run(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        cx.held_back = Some(HeldBack::default());
        let outcome = self.run_parts(cx).await;
        let held_back = cx.held_back.take().unwrap_or_default();
        let outcome = outcome?;
        for (number, (key, write)) in held_back.into_writes().into_iter().enumerate() {
            cx.write(key, write);
            cx.tick(1).await?;
            if number.saturating_add(1).is_multiple_of(WRITE_BATCH_ROWS) {
                cx.account_writes().await?;
            }
        }
        cx.account_writes().await?;
        let owed = std::mem::take(&mut *self.owed.lock());
        for references in owed {
            references.settle(cx).await?;
        }
        Ok(outcome)
    }

    async fn run_parts(&mut self, cx: &mut Context<'_>) -> Result<Outcome> {
        let outcome = match &mut self.main {
            Main::Modify(modifying) => modifying.run(cx, &self.owed).await?,
            Main::Query(query) => {
                let mut outcome = Outcome::default();
                while let Some(rows) = query.next(cx).await? {
                    cx.memory.reserve(rows.iter().map(|row| row_bytes(row)).sum())?;
                    outcome.count = outcome.count.saturating_add(rows.len() as u64);
                    outcome.returned.extend(rows);
                }
                outcome
            }
        };
        // As PostgreSQL goes: of two that change a row the last one written does.
        for effect in self.effects.iter_mut().rev() {
            while let Some(rows) = effect.next(cx).await? {
                cx.tick(rows.len()).await?;
            }
        }
        Ok(outcome)
    }
}

/// What a query of WITH returns that changes rows: all of it is done when the first row is asked for.
struct ModifyOperator {
    modifying: Modifying,
    owed: Owed,
    rows: Option<Vec<Row>>,
    given: usize,
}

#[async_trait]
impl Operator for ModifyOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => {
                let outcome = self.modifying.run(cx, &self.owed).await?;
                self.rows.insert(outcome.returned)
            }
        };
        let batch: Vec<Row> = rows.iter().skip(self.given).take(WRITE_BATCH_ROWS).cloned().collect();
        self.given = self.given.saturating_add(batch.len());
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// What was done is done once.
    fn rewind(&mut self, _: &mut Context<'_>) {
        self.given = 0;
    }
}
