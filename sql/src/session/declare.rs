//! DECLARE, FETCH, MOVE and CLOSE.

use std::sync::Arc;

use expr::Datum;
use expr::session::now_micros;

use super::Session;
use super::cursor::{Backward, Cursor};
use super::portal::{CommandTag, Fetched, Fetching, Portal, Running, State, Wanted};
use super::prepared::{Prepared, Statement, changed_columns, same_columns};
use super::run::guard;
use super::transaction::Block;
use crate::error::{Error, Result};
use crate::execute::Execution;
use crate::plan::{self, Motion, Node, Plan};

/// So many rows a step of FETCH hands out.
const BATCH_ROWS: usize = 1024;

impl Session {
    /// DECLARE … CURSOR: the query begins to run, and sees from then on what it sees now.
    pub(super) async fn declare(&mut self, portal: &Portal, declare: &plan::Declare) -> Result<()> {
        if self.transaction.block == Block::Idle && !declare.options.hold {
            return Err(Error::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
        }
        self.registry.check_cursor_name(&declare.name)?;
        let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
        let kinds = portal.prepared.parameters.iter().map(|ty| Some(ty.kind)).collect();
        let query = Statement(Arc::new(declare.query.as_ref().clone()));
        let prepared = self.plan_first(query, Some(kinds), true).await?;
        let mut inner = self.portal_over(&prepared, portal.parameters.clone())?;
        if self.transaction.open.is_none() {
            // The first look at the cluster may be FETCH's, too late to begin anew under another catalog.
            guard(&cancel, deadline, self.engine.refresh_catalog(self.database)).await?;
        }
        let planned = self.make_ready(&mut inner).await?;
        self.auditing.call("DECLARE CURSOR");
        let mut values = inner.parameters;
        values.resize(planned.bound.slots.max(values.len()), Datum::Null);
        let execution = Execution::build(&planned.bound.plan)?
            .ok_or_else(|| Error::internal("a cursor over a plan without rows"))?;
        let Plan::Query(node) = &planned.bound.plan else {
            return Err(Error::internal("a cursor over what is no query"));
        };
        let backward = match declare.options.scroll {
            Some(true) => Backward::Always,
            None if goes_back(node) => Backward::WhileItFits,
            _ => Backward::Never,
        };
        let open = self.transaction.open.as_mut();
        let open = open.ok_or_else(|| Error::internal("a cursor without a transaction"))?;
        let view = guard(&cancel, deadline, async { Ok(open.kv.view().await?) }).await?;
        // The cursor reads on in this transaction: no later statement begins it anew.
        open.suspended = true;
        let (memory, generation) = (self.statement_memory(), self.transaction.generation);
        let run = Running::new(execution, planned.clone(), values, memory, generation);
        let memory = self.statement_memory();
        let text = portal.prepared.statement.0.text.clone();
        let cursor =
            Cursor::new(prepared, declare.options, text, now_micros(), backward, memory, (run, view));
        self.registry.add_cursor(&declare.name, cursor)?;
        self.complete_statement().await
    }

    /// FETCH: from here on rows are handed out as they are asked for. MOVE does all of it.
    pub(super) async fn fetch_or_move(
        &mut self,
        portal: &mut Portal,
        fetch: &plan::Fetch,
        rows_max: usize,
    ) -> Result<Fetched> {
        self.audit_cursor(&fetch.name, if fetch.is_move { "MOVE" } else { "FETCH" }).await?;
        let cursor = self.registry.cursor(&fetch.name)?;
        if !fetch.is_move {
            if portal.prepared.is_described
                && !same_columns(portal.prepared.columns(), cursor.prepared.columns())
            {
                return Err(changed_columns());
            }
            portal.is_binary = cursor.options.binary;
        }
        let wanted = self.go(portal, &fetch.name, fetch.motion).await?;
        if fetch.is_move {
            let mut cursor = self.registry.take_cursor(&fetch.name)?;
            cursor.deadline = portal.deadline;
            let wanted = match wanted {
                // No row is read again.
                Wanted::Same if cursor.current().is_none() => Wanted::Forward(0),
                wanted => wanted,
            };
            let moved = match wanted {
                Wanted::Same => Ok(1),
                wanted => self.travel(&mut cursor, wanted, |_| Ok(true)).await,
            };
            let moved = self.put_back(&fetch.name, cursor, moved)?;
            self.complete_statement().await?;
            return Ok(Fetched::Done(CommandTag::Move(moved)));
        }
        portal.state = State::Fetching(Fetching { name: fetch.name.clone(), wanted, count: 0 });
        self.advance(portal, rows_max).await
    }

    async fn go(&mut self, portal: &Portal, name: &str, motion: Motion) -> Result<Wanted> {
        let mut cursor = self.registry.take_cursor(name)?;
        cursor.deadline = portal.deadline;
        let wanted = self.go_to(&mut cursor, motion).await;
        self.put_back(name, cursor, wanted)
    }

    /// Puts a cursor back after a run; one that has failed stays as a name that cannot be run.
    fn put_back<T>(&mut self, name: &str, cursor: Cursor, outcome: Result<T>) -> Result<T> {
        if outcome.is_ok() {
            self.registry.put_cursor(name, cursor);
        }
        outcome
    }

    /// The next rows of a FETCH.
    pub(super) async fn fetch_rows(
        &mut self,
        portal: &mut Portal,
        fetching: Fetching,
        rows_max: usize,
    ) -> Result<Fetched> {
        let Fetching { name, mut wanted, mut count } = fetching;
        if count == 0 {
            self.audit_cursor(&name, "FETCH").await?;
        }
        let batch = if rows_max == 0 { BATCH_ROWS } else { rows_max.min(BATCH_ROWS) };
        let mut rows = Vec::new();
        if !matches!(wanted, Wanted::Forward(0) | Wanted::Backward(0)) {
            let mut cursor = self.registry.take_cursor(&name)?;
            cursor.deadline = portal.deadline;
            let mut bytes = 0_usize;
            let travelled = self
                .travel(&mut cursor, wanted, |row| {
                    bytes = bytes.saturating_add(crate::execute::memory::row_bytes(&row));
                    rows.push(row);
                    Ok(rows.len() < batch && bytes < crate::execute::BATCH_BYTES)
                })
                .await;
            let travelled = self.put_back(&name, cursor, travelled)?;
            count = count.saturating_add(travelled);
            wanted = match wanted {
                Wanted::Forward(left) if travelled > 0 => Wanted::Forward(left.saturating_sub(travelled)),
                Wanted::Backward(left) if travelled > 0 => Wanted::Backward(left.saturating_sub(travelled)),
                _ => Wanted::Forward(0),
            };
        }
        if rows.is_empty() {
            self.complete_statement().await?;
            return Ok(Fetched::Done(CommandTag::Fetch(count)));
        }
        portal.state = State::Fetching(Fetching { name, wanted, count });
        Ok(Fetched::Rows(rows))
    }

    /// The values that WHERE CURRENT OF stands for.
    ///
    /// # Errors
    /// 34000: there is no such cursor; 24000: it is on no row, or none of the table's.
    pub(super) fn current_values(&self, current: &plan::CurrentOf) -> Result<Vec<Datum>> {
        let plan::CurrentOf { cursor: name, table, columns, .. } = current;
        let cursor = self.registry.cursor(name)?;
        let planned = cursor.prepared.planned.lock().clone();
        let is_simple = matches!(&planned.bound.plan, Plan::Query(node) if scanned(node) == Some(table.oid));
        if !is_simple {
            let message =
                format!("cursor \"{name}\" is not a simply updatable scan of table \"{}\"", table.name);
            return Err(Error::new("24000", message));
        }
        let row = cursor
            .current()
            .ok_or_else(|| Error::new("24000", format!("cursor \"{name}\" is not positioned on a row")))?;
        let outputs = cursor.prepared.columns().unwrap_or_default();
        let value_of = |column: &crate::catalog::ColumnId| {
            let is_it = |output: &plan::OutputColumn| {
                output.table_oid == table.oid && u32::try_from(output.column_number) == Ok(*column)
            };
            row.get(outputs.iter().position(is_it)?).cloned()
        };
        columns.iter().map(value_of).collect::<Option<Vec<_>>>().ok_or_else(|| {
            Error::unsupported("WHERE CURRENT OF a cursor whose query does not select the primary key")
        })
    }

    /// What Execute of the protocol runs for a cursor: a FETCH of all that follows.
    pub fn cursor_portal(&self, name: &str, prepared: &Arc<Prepared>) -> Portal {
        Portal {
            prepared: Arc::clone(prepared),
            parameters: Vec::new(),
            deadline: self.statement_deadline(),
            state: State::Fetching(Fetching {
                name: name.to_owned(),
                wanted: Wanted::Forward(u64::MAX),
                count: 0,
            }),
            undescribed: None,
            is_binary: false,
            text: None,
            answered: 0,
            sending: None,
        }
    }
}

/// The table of which each row of the query is one.
fn scanned(node: &Node) -> Option<crate::catalog::Oid> {
    match node {
        Node::Scan(scan) => Some(scan.table.oid),
        Node::Filter(filter) => scanned(&filter.input),
        Node::Project(project) => scanned(&project.input),
        Node::Sort(sort) => scanned(&sort.input),
        Node::LockRows(lock) => scanned(&lock.input),
        Node::Limit(limit) => scanned(&limit.input),
        _ => None,
    }
}

/// Whether a query that was not declared with SCROLL goes back in PostgreSQL: one that reads, filters and sorts rows.
fn goes_back(node: &Node) -> bool {
    match node {
        Node::Scan(scan) => scan.lock.is_none(),
        Node::Past(_) | Node::VirtualScan(_) | Node::FunctionScan(_) | Node::Sort(_) | Node::Common(_) => {
            true
        }
        Node::Values(values) => values.rows.len() > 1,
        Node::Filter(filter) => goes_back(&filter.input),
        Node::Project(project) => goes_back(&project.input),
        Node::Limit(limit) => goes_back(&limit.input),
        Node::Append(append) => append.inputs.iter().all(goes_back),
        _ => false,
    }
}
