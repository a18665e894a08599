//! Apply: subqueries' answers added to each row. Without bindings a subquery runs once and its answer is kept.

use async_trait::async_trait;
use expr::{Datum, Expr, Row};

use super::membership::{Members, hashable};
use super::{BATCH_BYTES, BoxOperator, Operator};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::HeldRows;
use crate::plan::{ApplyKind, Binding, Subquery};

/// Adds the answers of subqueries to each row.
pub(super) struct ApplyOperator {
    input: BoxOperator,
    subqueries: Vec<Answering>,
    /// Rows of the input for which there was no room in the batch before.
    rest: Vec<Row>,
}

impl ApplyOperator {
    pub(super) fn new(input: BoxOperator, width: usize, subqueries: Vec<(BoxOperator, &Subquery)>) -> Self {
        let subqueries = subqueries.into_iter().enumerate();
        let subqueries = subqueries.map(|(place, (operator, subquery))| {
            Answering::new(operator, subquery, width.saturating_add(place))
        });
        Self { input, subqueries: subqueries.collect(), rest: Vec::new() }
    }
}

/// A subquery and what is kept of its answer.
struct Answering {
    subquery: BoxOperator,
    bindings: Vec<Binding>,
    kind: ApplyKind,
    /// Its values are arrays, and the array of them has a dimension more.
    stacks: bool,
    /// The answer of a subquery that does not depend on the row.
    kept: Option<Datum>,
    /// The rows of such a subquery, where the answer depends on the row nevertheless.
    rows: Option<HeldRows>,
    /// What to look up among the values of such a subquery, if that is all there is to do.
    lookup: Option<Expr>,
    members: Option<Members>,
}

impl Answering {
    fn new(operator: BoxOperator, subquery: &Subquery, outer_width: usize) -> Self {
        let lookup = match &subquery.kind {
            ApplyKind::Any { test } if subquery.bindings.is_empty() => hashable(test, outer_width).cloned(),
            _ => None,
        };
        let stacks = match &subquery.kind {
            ApplyKind::Array(ty) => subquery.node.types().first().is_some_and(|own| own.kind == ty.kind),
            ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Any { .. } => false,
        };
        Self {
            subquery: operator,
            bindings: subquery.bindings.clone(),
            kind: subquery.kind.clone(),
            stacks,
            kept: None,
            rows: None,
            lookup,
            members: None,
        }
    }

    async fn look_up(&mut self, cx: &mut Context<'_>, value: Datum) -> Result<Datum> {
        let members = match &mut self.members {
            Some(members) => members,
            None => {
                let mut members = Members::new();
                while let Some(rows) = self.subquery.next(cx).await? {
                    members.add(cx, rows).await?;
                }
                self.members.insert(members)
            }
        };
        Ok(members.contains(&value))
    }

    async fn answer(&mut self, cx: &mut Context<'_>, row: &Row) -> Result<Datum> {
        if self.bindings.is_empty() {
            return self.answer_once(cx, row).await;
        }
        bind(cx, &self.bindings, row).await?;
        self.subquery.rewind(cx);
        match &self.kind {
            ApplyKind::Any { test } => {
                let mut found = Found::default();
                while let Some(rows) = self.subquery.next(cx).await? {
                    if found.look(cx, test, row, &rows).await? {
                        break;
                    }
                }
                Ok(found.datum())
            }
            kind => run(cx, &mut self.subquery, kind, self.stacks).await,
        }
    }

    async fn answer_once(&mut self, cx: &mut Context<'_>, row: &Row) -> Result<Datum> {
        if let Some(lookup) = &self.lookup {
            let value = cx.settled(|cx| cx.evaluate(lookup, row)).await?;
            return self.look_up(cx, value).await;
        }
        if let ApplyKind::Any { test } = &self.kind {
            if self.rows.is_none() {
                let mut held = HeldRows::default();
                while let Some(rows) = self.subquery.next(cx).await? {
                    for row in rows {
                        held.push(row, cx.memory)?;
                        cx.tick(1).await?;
                    }
                }
                self.rows = Some(held);
            }
            let mut found = Found::default();
            if let Some(held) = &self.rows {
                found.look(cx, test, row, &held.rows).await?;
            }
            return Ok(found.datum());
        }
        if self.kept.is_none() {
            self.kept = Some(run(cx, &mut self.subquery, &self.kind, self.stacks).await?);
        }
        Ok(self.kept.clone().unwrap_or_default())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        // An uncorrelated subquery may still stand inside a correlated one and read its slots.
        self.kept = None;
        if let Some(mut held) = self.rows.take() {
            held.clear(cx.memory);
        }
        if let Some(members) = self.members.take() {
            members.release(cx);
        }
        self.subquery.rewind(cx);
    }
}

/// Sets the slots that depend on an outer row.
pub(super) async fn bind(cx: &mut Context<'_>, bindings: &[Binding], row: &Row) -> Result<()> {
    for binding in bindings {
        let value = cx.settled(|cx| cx.evaluate(&binding.value, row)).await?;
        cx.set_slot(binding.slot, value)?;
    }
    Ok(())
}

/// `stacks`: the values of which an array is made are arrays themselves.
async fn run(
    cx: &mut Context<'_>,
    subquery: &mut BoxOperator,
    kind: &ApplyKind,
    stacks: bool,
) -> Result<Datum> {
    match kind {
        ApplyKind::Exists => Ok(Datum::Bool(subquery.next(cx).await?.is_some())),
        ApplyKind::Scalar(_) => {
            let mut answer = None;
            while let Some(rows) = subquery.next(cx).await? {
                for row in rows {
                    if answer.is_some() {
                        return Err(Error::new(
                            "21000",
                            "more than one row returned by a subquery used as an expression",
                        ));
                    }
                    answer = Some(row.into_iter().next().unwrap_or_default());
                }
            }
            Ok(answer.unwrap_or_default())
        }
        ApplyKind::Array(_) => {
            let mut values = Vec::new();
            let mut held = 0usize;
            while let Some(rows) = subquery.next(cx).await? {
                let mut bytes = 0usize;
                for row in rows {
                    let value = row.into_iter().next().unwrap_or_default();
                    // The list, and the array that is made of it.
                    bytes = bytes.saturating_add(value.size_bytes()).saturating_add(size_of::<Datum>());
                    values.push(value);
                    cx.tick(1).await?;
                }
                cx.memory.reserve(bytes)?;
                held = held.saturating_add(bytes);
            }
            let array = if stacks { expr::accumulate::stacked(&values)? } else { values.into() };
            // From here on it belongs to a row, and to whoever keeps that.
            cx.memory.release(held);
            Ok(Datum::Array(array))
        }
        ApplyKind::Any { .. } => Err(Error::internal("ANY is answered row by row")),
    }
}

/// What `ANY` has found so far.
#[derive(Default)]
struct Found {
    yes: bool,
    unknown: bool,
}

impl Found {
    /// Tests rows; true once the answer is settled.
    async fn look(&mut self, cx: &mut Context<'_>, test: &Expr, outer: &Row, rows: &[Row]) -> Result<bool> {
        let mut pair = outer.clone();
        for row in rows {
            cx.tick(1).await?;
            pair.truncate(outer.len());
            pair.extend(row.iter().cloned());
            match cx.settled(|cx| cx.evaluate(test, &pair)).await? {
                Datum::Bool(true) => {
                    self.yes = true;
                    return Ok(true);
                }
                Datum::Null => self.unknown = true,
                _ => {}
            }
        }
        Ok(false)
    }

    fn datum(&self) -> Datum {
        match (self.yes, self.unknown) {
            (true, _) => Datum::Bool(true),
            (false, true) => Datum::Null,
            (false, false) => Datum::Bool(false),
        }
    }
}

#[async_trait]
impl Operator for ApplyOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut rows = std::mem::take(&mut self.rest);
        if rows.is_empty() {
            let Some(input) = self.input.next(cx).await? else { return Ok(None) };
            rows = input;
        }
        let (mut bytes, mut made) = (0usize, 0usize);
        for row in &mut rows {
            for subquery in &mut self.subqueries {
                let answer = subquery.answer(cx, row).await?;
                bytes = bytes.saturating_add(answer.size_bytes());
                row.push(answer);
                cx.tick(1).await?;
            }
            made = made.saturating_add(1);
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        self.rest = rows.split_off(made);
        Ok(Some(rows))
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.rest.clear();
        for subquery in &mut self.subqueries {
            subquery.rewind(cx);
        }
        self.input.rewind(cx);
    }
}
