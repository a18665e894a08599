//! BACKUP, RESTORE, SHOW BACKUPS, as a session asks for them.

use std::collections::VecDeque;
use std::sync::Arc;

use backup::{Collection, Link, Manifest, Place, SecretKey};
use env::clock::Instant;
use env::disk::RealDisk;
use expr::{Datum, EvalContext, Row};

use super::Session;
use super::run::guard;
use super::transaction::Block;
use crate::error::{Error, Result};
use crate::execute::ddl::{
    How, Restore, Restored, Take, Taken, read_key, restore_backup, take_backup, tell_kept,
};
use crate::moment;
use crate::plan::{BackupCommand, BackupOf, BackupOrder};

impl Session {
    /// Does it; the rows that tell of it.
    pub(super) async fn backup(
        &mut self,
        order: &BackupOrder,
        deadline: Option<Instant>,
    ) -> Result<VecDeque<Row>> {
        if order.is_about_schedules() {
            return self.schedules(order, deadline).await;
        }
        let what = order.command();
        if !self.end_script().await? && self.transaction.block != Block::Idle {
            return Err(Error::new("25001", format!("{what} cannot run inside a transaction block")));
        }
        // Before any file is looked at.
        let place = self.engine.options().backup_places.place(Arc::new(RealDisk::new()), &order.url)?;
        let cancel = self.cancel.clone();
        let secret = match &order.key_file {
            Some(path) => Some(guard(&cancel, deadline, read_key(path.clone())).await?),
            None => None,
        };
        let moment = match &order.moment {
            Some(moment) => {
                let value = moment.value.evaluate(&EvalContext::new(&[], &[], &self.context))?;
                let placed = |error| moment::placed(error, moment.at);
                Some(moment::meant(&value, &self.context).map_err(placed)?.last)
            }
            None => None,
        };
        match &order.command {
            BackupCommand::Take { of, incremental, resume, history } => {
                let how = match (incremental, resume) {
                    (_, true) => How::Resumed,
                    (true, false) => How::Incremental,
                    (false, false) => How::Full,
                };
                let (of, database, history) = (of.clone(), self.database, *history);
                let take = Take { of, database, place, at: moment, how, history, secret };
                self.take(take, order, deadline).await
            }
            BackupCommand::Restore { of, name } => {
                if self.modes().read_only {
                    let message = "cannot execute RESTORE in a read-only transaction";
                    return Err(Error::new("25006", message));
                }
                let engine = self.engine.clone();
                let catalog = guard(&cancel, deadline, engine.refresh_catalog(self.database)).await?;
                let role = catalog.access().role_named(&self.context.current_user);
                let owner = role.ok_or_else(|| Error::internal("nobody acts"))?.oid;
                let database = (self.database, catalog.database_name().to_owned());
                let (of, name) = (of.clone(), name.clone());
                let restore = Restore { of, name, database, owner, place, moment, secret };
                self.restore(restore, deadline).await
            }
            BackupCommand::Show => guard(&cancel, deadline, shown(place, secret)).await,
            BackupCommand::Schedule { .. }
            | BackupCommand::Unschedule { .. }
            | BackupCommand::ShowSchedules => Err(Error::internal("a schedule is no backup")),
        }
    }

    async fn take(
        &mut self,
        mut take: Take,
        order: &BackupOrder,
        deadline: Option<Instant>,
    ) -> Result<VecDeque<Row>> {
        let (cancel, engine) = (self.cancel.clone(), self.engine.clone());
        if let (Some(wanted), Some(said)) = (take.at, &order.moment) {
            let reached = guard(&cancel, deadline, moment::reached(engine.client(), wanted)).await;
            take.at = Some(reached.map_err(|error| moment::placed(error, said.at))?);
        }
        let job = engine.roster().begin_job(self.context.backend_pid, "backup");
        let taken = guard(&cancel, deadline, take_backup(engine.client(), &take, &job)).await?;
        let Taken { at, manifest } = taken;
        let mut row = vec![moment::timestamptz(at), moment::decimal(at)];
        row.extend(sizes(&manifest));
        Ok(VecDeque::from([row]))
    }

    async fn restore(&mut self, restore: Restore, deadline: Option<Instant>) -> Result<VecDeque<Row>> {
        let (cancel, engine) = (self.cancel.clone(), self.engine.clone());
        let mut memory = engine.statement_memory();
        let job = engine.roster().begin_job(self.context.backend_pid, "restore");
        let restoring = restore_backup(engine.client(), &restore, &mut memory, &job);
        let restored = guard(&cancel, deadline, restoring).await?;
        drop(job);
        drop(memory);
        // Where it cannot be read now, the next statement reads it.
        let _ = engine.refresh_catalog(self.database).await;
        if restore.of == BackupOf::Cluster
            && let Err(error) = tell_kept(engine.client()).await
        {
            tracing::debug!(%error, "how long history is kept is told later");
        }
        let Restored { at, tables, entries, notices } = restored;
        for notice in notices {
            self.notify(notice);
        }
        Ok(VecDeque::from([vec![
            moment::timestamptz(at),
            moment::decimal(at),
            count(tables),
            count(entries),
        ]]))
    }
}

/// The backups at a place, the oldest first, then those that are not finished.
async fn shown(place: Place, secret: Option<SecretKey>) -> Result<VecDeque<Row>> {
    let collection = Collection::open(place, secret).await?;
    let mut rows = VecDeque::new();
    for chain in collection.chains() {
        for link in collection.chain(chain).await? {
            let kind = if link.manifest.since == 0 { "full" } else { "incremental" };
            rows.push_back(shown_link(&link, kind));
        }
    }
    for link in collection.unfinished().await? {
        rows.push_back(shown_link(&link, "unfinished"));
    }
    Ok(rows)
}

fn shown_link(link: &Link, kind: &str) -> Row {
    let manifest = &link.manifest;
    let of = manifest.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    let begins = manifest.begins();
    let mut row = vec![
        Datum::text(of),
        Datum::text(kind),
        moment::timestamptz(manifest.at),
        moment::decimal(manifest.at),
        if begins == 0 { Datum::Null } else { moment::timestamptz(begins) },
        Datum::Bool(link.key.is_some()),
    ];
    row.extend(sizes(manifest));
    row
}

/// Files, versions, bytes.
fn sizes(manifest: &Manifest) -> [Datum; 3] {
    let (entries, bytes) = manifest.sizes();
    [count(manifest.files.len() as u64), count(entries), count(bytes)]
}

fn count(number: u64) -> Datum {
    Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX))
}
