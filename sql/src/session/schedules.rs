//! CREATE SCHEDULE, DROP SCHEDULE, SHOW SCHEDULES: rows of the catalog that gateways look at now and then, and that no statement
//! depends on. They are written by transactions of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{Client, Transaction, TransactionOptions};
use env::clock::Instant;
use env::disk::RealDisk;
use expr::{Datum, Row};

use super::Session;
use super::engine::Engine;
use super::run::guard;
use super::transaction::Block;
use crate::catalog::Oid;
use crate::catalog::kept::shown;
use crate::catalog::schedule::{self, Schedule};
use crate::error::{Error, Notice, Result};
use crate::execute::ddl::{all_schedules, read_key, scheduled_of};
use crate::moment;
use crate::plan::{BackupCommand, BackupOf, BackupOrder};

/// So often a row is written anew because another session has written it, too.
const ATTEMPTS_MAX: usize = 10;

/// So many schedules there are at most.
const SCHEDULES_MAX: usize = 1000;

impl Session {
    /// Does what is said of schedules; the rows that tell of them.
    pub(super) async fn schedules(
        &mut self,
        order: &BackupOrder,
        deadline: Option<Instant>,
    ) -> Result<VecDeque<Row>> {
        let (cancel, engine) = (self.cancel.clone(), self.engine.clone());
        if matches!(order.command, BackupCommand::ShowSchedules) {
            let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
            let mut transaction = engine.client().begin(options);
            let rows = guard(&cancel, deadline, rows(&mut transaction)).await;
            transaction.rollback().await;
            return rows;
        }
        let what = order.command();
        if self.transaction.block != Block::Idle {
            return Err(Error::new("25001", format!("{what} cannot run inside a transaction block")));
        }
        if self.modes().read_only {
            return Err(Error::new("25006", format!("cannot execute {what} in a read-only transaction")));
        }
        match &order.command {
            BackupCommand::Schedule { name, if_not_exists, .. } => {
                let place = engine.options().backup_places.place(Arc::new(RealDisk::new()), &order.url)?;
                if let Some(path) = &order.key_file {
                    guard(&cancel, deadline, read_key(path.clone())).await?;
                }
                let schedule =
                    guard(&cancel, deadline, fresh(&engine, self.database, order, place.url())).await?;
                if !guard(&cancel, deadline, add(engine.client(), &schedule)).await? {
                    let message = format!("schedule \"{name}\" already exists");
                    if !if_not_exists {
                        return Err(Error::new("42710", message));
                    }
                    self.notify(Notice::notice("42710", format!("{message}, skipping")));
                }
            }
            BackupCommand::Unschedule { name, if_exists } => {
                if !guard(&cancel, deadline, remove(engine.client(), name)).await? {
                    let message = format!("schedule \"{name}\" does not exist");
                    if !if_exists {
                        return Err(Error::new("42704", message));
                    }
                    self.notify(Notice::notice("00000", format!("{message}, skipping")));
                }
            }
            _ => return Err(Error::internal("a backup is no schedule")),
        }
        Ok(VecDeque::new())
    }
}

/// The schedule that is asked for; its first backup is due at once.
async fn fresh(engine: &Engine, of_session: Oid, order: &BackupOrder, url: &str) -> Result<Schedule> {
    let BackupCommand::Schedule { name, of, history, every_ms, full_every_ms, .. } = &order.command else {
        return Err(Error::internal("a backup is no schedule"));
    };
    let (client, mut schedule) = (engine.client(), Schedule::default());
    match of {
        BackupOf::Cluster => {}
        BackupOf::Database(name) => {
            let catalog = engine.refresh_catalog(of_session).await?;
            let missing = || Error::new("3D000", format!("database \"{name}\" does not exist"));
            schedule.database = catalog.databases().named(name).ok_or_else(missing)?.oid;
        }
        BackupOf::Table { schema, name } => {
            schedule.database = of_session;
            (schedule.schema, schedule.table) = (Some(schema.clone()), Some(name.clone()));
        }
    }
    let id = client.allocate_ids("oid", 1).await?;
    schedule.id = u32::try_from(id).map_err(|_| Error::new("54000", "ids of schedules are exhausted"))?;
    schedule.name.clone_from(name);
    schedule.url = url.to_owned();
    schedule.key_file.clone_from(&order.key_file);
    (schedule.history, schedule.every_ms, schedule.full_every_ms) = (*history, *every_ms, *full_every_ms);
    schedule.next_ms = moment::unix_ms_of(client.timestamp().await?.timestamp);
    Ok(schedule)
}

/// Whether there was none of that name.
async fn add(client: &Client, fresh: &Schedule) -> Result<bool> {
    for attempt in 1.. {
        let mut transaction = client.begin(TransactionOptions::default());
        let known = all_schedules(&mut transaction).await?;
        if known.iter().any(|own| own.name == fresh.name) {
            transaction.rollback().await;
            return Ok(false);
        }
        if known.len() >= SCHEDULES_MAX {
            transaction.rollback().await;
            return Err(Error::new("54000", format!("there are {SCHEDULES_MAX} schedules already")));
        }
        transaction.put(schedule::key(fresh.id), schedule::encode(fresh));
        match transaction.commit().await {
            Ok(_) => break,
            Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether there was one.
async fn remove(client: &Client, name: &str) -> Result<bool> {
    for attempt in 1.. {
        let mut transaction = client.begin(TransactionOptions::default());
        let known = all_schedules(&mut transaction).await?;
        let Some(own) = known.iter().find(|own| own.name == name) else {
            transaction.rollback().await;
            return Ok(false);
        };
        transaction.delete(schedule::key(own.id));
        match transaction.commit().await {
            Ok(_) => break,
            Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

async fn rows(transaction: &mut Transaction) -> Result<VecDeque<Row>> {
    let all = all_schedules(transaction).await?;
    let of = scheduled_of(transaction, &all).await?;
    Ok(all.iter().zip(of).map(|(schedule, of)| row(schedule, &of)).collect())
}

fn row(schedule: &Schedule, of: &str) -> Row {
    let moment = |ms: u64| if ms == 0 { Datum::Null } else { moment::of_unix(ms) };
    let state = if schedule.is_under_way() { "running" } else { "waiting" };
    let failure = Some(schedule.failure.as_str()).filter(|failure| !failure.is_empty());
    vec![
        Datum::text(schedule.name.as_str()),
        Datum::text(of),
        Datum::text(schedule.url.as_str()),
        Datum::text(shown(schedule.every_ms)),
        Datum::text(shown(schedule.full_every_ms.unwrap_or(schedule.every_ms))),
        Datum::text(state),
        moment(schedule.next_ms),
        moment(schedule.began_ms),
        moment(schedule.ended_ms),
        failure.map_or(Datum::Null, Datum::text),
    ]
}
