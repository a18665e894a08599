//! How long history is kept, as a session says and asks it; which tables lie over the history of others.
//!
//! What is said is a row of the catalog that no statement depends on: it is written by a transaction of its own, and the
//! cluster is told at once.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{BranchRow, TransactionOptions};
use expr::{Datum, Row};

use super::Session;
use super::transaction::Block;
use crate::catalog::TableDescriptor;
use crate::catalog::home::Home;
use crate::catalog::kept::{self, ALL_TABLES, HISTORY_MS_DEFAULT, Kept, shown};
use crate::error::{Error, Notice, Result};
use crate::execute::ddl::{check_said, check_told, erased_indexes, said, tell_kept};
use crate::moment;
use crate::plan::{KeepHistory, KeepOf};

/// So often a row is written anew because another session has written it, too.
const ATTEMPTS_MAX: usize = 10;

impl Session {
    /// SET (history = …)
    pub(super) async fn keep_history(&mut self, keep: &KeepHistory) -> Result<()> {
        if self.transaction.block != Block::Idle {
            let message = "SET of history cannot run inside a transaction block";
            return Err(Error::new("25001", message));
        }
        if self.modes().read_only {
            let what = keep.command();
            return Err(Error::new("25006", format!("cannot execute {what} in a read-only transaction")));
        }
        let (database, table) = match &keep.of {
            KeepOf::Cluster => {
                let wanted = keep.history_ms.flatten().unwrap_or(HISTORY_MS_DEFAULT);
                self.engine.client().set_history(wanted).await?;
                return Ok(());
            }
            KeepOf::Database(database) => (*database, ALL_TABLES),
            KeepOf::Table(database, table) => (*database, table.oid),
        };
        let key = kept::key(Home::of(database), table);
        for attempt in 1.. {
            let mut transaction = self.engine.client().begin(TransactionOptions::default());
            let before = transaction.get(key.clone()).await?;
            let before = before.map(|row| kept::decode(&row)).transpose()?.map(|(_, kept)| kept);
            let before = before.unwrap_or_default();
            let now = Kept {
                history_ms: keep.history_ms.unwrap_or(before.history_ms),
                held_until_ms: keep.held_until_ms.unwrap_or(before.held_until_ms),
            };
            if now.is_empty() {
                transaction.delete(key.clone());
            } else {
                transaction.put(key.clone(), kept::encode(table, now));
            }
            // Whoever wants less than before may say so at any time.
            if before.is_empty()
                && !now.is_empty()
                && let Err(error) = check_said(&mut transaction).await
            {
                transaction.rollback().await;
                return Err(error);
            }
            match transaction.commit().await {
                Ok(_) => break,
                Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
        let told = tell_kept(self.engine.client()).await;
        if let Err(error) = told {
            let message = format!("the cluster does not keep to it yet: {}", error.message);
            self.notify(Notice::warning("01000", message));
        }
        Ok(())
    }

    /// SHOW HISTORY: of what, for how long, until when it is held, and where that of all else begins.
    pub(super) async fn show_history(&mut self) -> Result<VecDeque<Row>> {
        let client = self.engine.client().clone();
        let history = client.history().await?;
        let begins = match history.safe_point {
            0 => Datum::Null,
            safe_point => self.shown_moment(moment::timestamptz(safe_point))?,
        };
        let cluster = vec![text("cluster"), text(&shown(history.history_ms)), Datum::Null, begins];
        let mut rows = VecDeque::from([cluster]);
        let catalog = self.engine.refresh_catalog(self.database).await?;
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = client.begin(options);
        let said = said(&mut transaction, catalog.home()).await?;
        let erased = erased_indexes(&mut transaction).await?;
        transaction.rollback().await;
        if !said.is_empty()
            && let Err(error) = check_told(&client).await
        {
            let message = format!("the cluster does not keep to what was said lately: {}", error.message);
            self.notify(Notice::warning("01000", message));
        }
        for (oid, kept) in said {
            let of = match (oid, catalog.table_by_oid(oid)) {
                (ALL_TABLES, _) => format!("database {}", catalog.database_name()),
                (_, Some(table)) => format!("table {}.{}", table.schema, table.name),
                // It is kept for as long as something of it can be read.
                (oid, None) => format!("dropped table {oid}"),
            };
            let held = match kept.held_until_ms {
                Some(ms) => self.shown_moment(moment::of_unix(ms))?,
                None => Datum::Null,
            };
            let history = kept.history_ms.map_or(Datum::Null, |ms| text(&shown(ms)));
            rows.push_back(vec![text(&of), history, held, Datum::Null]);
        }
        let mut gone = Vec::new();
        for table in catalog.tables() {
            let Some(erased) = table.primary().and_then(|primary| erased.get(&primary.id)) else { continue };
            let name = format!("{}.{}", table.schema, table.name);
            gone.push((format!("erased: table {name}"), erased.before));
            gone.push((format!("erased: rows of table {name}"), erased.rows_before));
        }
        gone.retain(|(_, before)| *before > 0);
        gone.sort();
        for (of, before) in gone {
            let begins = self.shown_moment(moment::timestamptz(before))?;
            rows.push_back(vec![text(&of), Datum::Null, Datum::Null, begins]);
        }
        Ok(rows)
    }

    /// SHOW CLONES: which tables lie over others, over which, and as of when.
    pub(super) async fn show_clones(&mut self) -> Result<VecDeque<Row>> {
        let client = self.engine.client().clone();
        let catalog = self.engine.refresh_catalog(self.database).await?;
        let branch = |table: &Arc<TableDescriptor>| {
            let id = table.primary().map(|primary| primary.id).filter(|id| keys::sql::is_branch(*id))?;
            Some((format!("{}.{}", table.schema, table.name), BranchRow::key(id)))
        };
        let mut clones: Vec<_> = catalog.tables().filter_map(branch).collect();
        clones.sort();
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = client.begin(options);
        let values = transaction.get_many(clones.iter().map(|(_, key)| key.clone()).collect()).await?;
        transaction.rollback().await;
        let mut rows = VecDeque::new();
        for ((name, _), value) in clones.into_iter().zip(values) {
            // It was dropped meanwhile, long ago, or it is there.
            let Some(value) = value else { continue };
            let branch = BranchRow::decode(value)?;
            let Some(layer) = branch.layers.first() else { continue };
            let at = self.shown_moment(moment::timestamptz(layer.at))?;
            rows.push_back(vec![text(&name), text(&String::from_utf8_lossy(&branch.note)), at]);
        }
        Ok(rows)
    }

    fn shown_moment(&self, moment: Datum) -> Result<Datum> {
        let ty = expr::TypeKind::Timestamptz.into();
        Ok(expr::casts::apply(moment, ty, expr::TypeKind::Text.into(), true, &self.context)?)
    }
}

fn text(text: &str) -> Datum {
    Datum::text(text)
}
