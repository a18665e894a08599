//! Backups that are taken by themselves, by whichever gateway finds first that one is due, and may use the place.
//!
//! ```text
//! waiting ──claim──▶ held by a runner, who says so anew ──▶ waiting for the next, with what has come of it
//!                        │ who dies holds it no longer
//!                        └──────claim──────▶ another one goes on with what is there (RESUME)
//! ```
//!
//! Rows of schedules are read and written by transactions of their own. A runner whose schedule somebody else has, or that is gone,
//! stops: what it has begun belongs to no backup, or to the one that the other goes on with.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backup::Places;
use client::{Client, Transaction, TransactionOptions};
use env::disk::RealDisk;
use env::{clock, random};
use futures::future::{Either, select};

use super::super::store;
use super::contents::{databases, scope};
use super::key_file::read_key;
use super::take::{How, Take, take_backup};
use crate::activity::{Job, Roster};
use crate::catalog::database::Databases;
use crate::catalog::schedule::{self, Schedule};
use crate::error::{Error, Result};
use crate::moment;
use crate::plan::BackupOf;

/// How often it is looked whether something is due, about.
const PERIOD: Duration = Duration::from_secs(20);

/// How long a runner that is not heard of holds a run.
const HOLD_MS: u64 = 60_000;

/// How often a runner says that it holds one.
const RENEWAL: Duration = Duration::from_secs(15);

/// What has failed is tried again after so long, if it is not due before.
const RETRY_MS: u64 = 5 * 60_000;

/// So often a row is written anew because somebody else has written it, too.
const ATTEMPTS_MAX: usize = 10;

/// So much is told of why one failed.
const FAILURE_BYTES_MAX: usize = 1000;

/// What a backup that follows others, or goes on, ends with where one that follows none does not.
const BEGINS_ANEW: [&str; 5] = ["55000", "54000", "72000", "58P01", "XX001"];

/// All schedules, by name.
pub(crate) async fn all_schedules(transaction: &mut Transaction) -> Result<Vec<Schedule>> {
    let rows = store::scan(transaction, schedule::span()).await?;
    let mut all: Vec<Schedule> = rows.iter().map(|(_, row)| schedule::decode(row)).collect::<Result<_>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// What each of these is of, as backups call it.
pub(crate) async fn scheduled_of(
    transaction: &mut Transaction,
    schedules: &[Schedule],
) -> Result<Vec<String>> {
    let all = databases(transaction).await?;
    let told = |schedule: &Schedule| match of(schedule, &all) {
        Ok((of, database)) => scope(&of, &database).to_string(),
        Err(_) => "a database that is gone".to_owned(),
    };
    Ok(schedules.iter().map(told).collect())
}

/// Takes what is due, one after the other. Ends at once where no place may be used.
pub(crate) async fn run_schedules(client: &Client, places: &Places, roster: &Roster) {
    if places.is_empty() {
        return;
    }
    loop {
        // Not all gateways at once.
        let jitter = random::below(PERIOD.as_millis() as u64);
        clock::sleep(PERIOD / 2 + Duration::from_millis(jitter)).await;
        if let Err(error) = take_due(client, places, roster).await {
            tracing::debug!(%error, "what backups are due is not known; it is looked again");
        }
    }
}

async fn take_due(client: &Client, places: &Places, roster: &Roster) -> Result<()> {
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut transaction = client.begin(options);
    let all = all_schedules(&mut transaction).await?;
    transaction.rollback().await;
    if all.is_empty() {
        return Ok(());
    }
    let now = now_ms(client).await?;
    let may_be_used = |schedule: &Schedule| places.place(Arc::new(RealDisk::new()), &schedule.url).is_ok();
    for due in all.into_iter().filter(|schedule| schedule.is_due(now) && may_be_used(schedule)) {
        if let Some((claimed, goes_on)) = claim(client, due.id).await? {
            // It is no session's.
            let job = roster.begin_job(0, "backup");
            run(client, places, (&claimed, goes_on), &job).await?;
        }
    }
    Ok(())
}

/// Takes the next run, if nobody has it: the schedule, and whether somebody else has begun. Of two who do so at once one has it.
async fn claim(client: &Client, id: u32) -> Result<Option<(Schedule, bool)>> {
    let now = now_ms(client).await?;
    let mut transaction = client.begin(TransactionOptions::default());
    let Some(mut own) = read(&mut transaction, id).await?.filter(|own| own.is_due(now)) else {
        transaction.rollback().await;
        return Ok(None);
    };
    let goes_on = own.is_under_way();
    if !goes_on {
        (own.began_ms, own.is_full) = (now, own.wants_full(now));
    }
    own.runner = random::id().to_vec();
    own.held_until_ms = now.saturating_add(HOLD_MS);
    transaction.put(schedule::key(id), schedule::encode(&own));
    match transaction.commit().await {
        Ok(_) => Ok(Some((own, goes_on))),
        Err(error) if error.is_retryable() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes it, and writes down what has come of it.
async fn run(client: &Client, places: &Places, (own, goes_on): (&Schedule, bool), job: &Job) -> Result<()> {
    tracing::info!(schedule = %own.name, goes_on, "a backup is taken that is due");
    let taken = {
        let taking = pin!(take(client, places, (own, goes_on), job));
        let holding = pin!(hold(client, own));
        let ended = select(taking, holding).await;
        match ended {
            Either::Left((taken, _)) => taken,
            Either::Right(((), _)) => {
                tracing::warn!(schedule = %own.name, "the backup is somebody else's by now, or not wanted any more");
                return Ok(());
            }
        }
    };
    if let Err(error) = &taken {
        tracing::warn!(schedule = %own.name, %error, "a backup that is due could not be taken");
    }
    for attempt in 1.. {
        match finish(client, own, &taken).await {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {}
            finished => return Ok(finished?),
        }
    }
    Ok(())
}

/// Says now and then that the run is this one's. Ends once it is not.
async fn hold(client: &Client, own: &Schedule) {
    loop {
        clock::sleep(RENEWAL).await;
        match held(client, own).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "that a backup is being taken could not be said"),
        }
    }
}

async fn held(client: &Client, own: &Schedule) -> Result<bool> {
    let now = now_ms(client).await?;
    let mut transaction = client.begin(TransactionOptions::default());
    let found = read(&mut transaction, own.id).await?;
    let Some(mut found) = found.filter(|found| found.runner == own.runner) else {
        transaction.rollback().await;
        return Ok(false);
    };
    found.held_until_ms = now.saturating_add(HOLD_MS);
    transaction.put(schedule::key(own.id), schedule::encode(&found));
    transaction.commit().await?;
    Ok(true)
}

/// Writes down what has come of a run; `taken` says whether all was written by it.
async fn finish(client: &Client, own: &Schedule, taken: &Result<bool>) -> client::Result<()> {
    let now = moment::unix_ms_of(client.timestamp().await?.timestamp);
    let mut transaction = client.begin(TransactionOptions::default());
    let row = transaction.get(schedule::key(own.id)).await?;
    let found = row.and_then(|row| schedule::decode(&row).ok());
    let Some(mut found) = found.filter(|found| found.runner == own.runner) else {
        transaction.rollback().await;
        return Ok(());
    };
    let next = found.next_after(now);
    (found.runner, found.held_until_ms, found.ended_ms) = (Vec::new(), 0, now);
    match taken {
        Ok(is_full) => {
            (found.next_ms, found.failure) = (next, String::new());
            if *is_full {
                found.full_ms = found.began_ms;
            }
        }
        Err(error) => {
            found.next_ms = next.min(now.saturating_add(RETRY_MS));
            found.failure = format!("{} ({})", error.message, error.sqlstate);
            found.failure.truncate(found.failure.floor_char_boundary(FAILURE_BYTES_MAX));
        }
    }
    transaction.put(schedule::key(own.id), schedule::encode(&found));
    transaction.commit().await.map(drop)
}

/// Takes the backup; whether all was written by it.
async fn take(
    client: &Client,
    places: &Places,
    (own, goes_on): (&Schedule, bool),
    job: &Job,
) -> Result<bool> {
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut transaction = client.begin(options);
    let all = databases(&mut transaction).await?;
    transaction.rollback().await;
    let (of, _) = of(own, &all)?;
    let secret = match &own.key_file {
        Some(path) => Some(read_key(path.clone()).await?),
        None => None,
    };
    let mut order = Take {
        of,
        database: own.database,
        place: places.place(Arc::new(RealDisk::new()), &own.url)?,
        at: None,
        how: How::Full,
        history: own.history,
        secret,
    };
    let ways: &[How] = match (goes_on, own.is_full) {
        (true, true) => &[How::Resumed, How::Full],
        (true, false) => &[How::Resumed, How::Incremental, How::Full],
        (false, true) => &[How::Full],
        (false, false) => &[How::Incremental, How::Full],
    };
    let mut refused = None;
    for how in ways {
        order.how = *how;
        match take_backup(client, &order, job).await {
            // What was gone on with may be another than was wanted: one that was left before.
            Ok(taken) => return Ok(taken.manifest.since == 0),
            Err(error) if BEGINS_ANEW.contains(&error.sqlstate) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| Error::internal("there is no way to take a backup")))
}

/// What backups of a schedule are of, and the name of the database.
fn of(own: &Schedule, all: &Databases) -> Result<(BackupOf, String)> {
    if own.database == 0 {
        return Ok((BackupOf::Cluster, String::new()));
    }
    let gone = || Error::new("3D000", "the database that backups are to be taken of is gone");
    let name = all.get(own.database).ok_or_else(gone)?.name.clone();
    let of = match (&own.schema, &own.table) {
        (Some(schema), Some(table)) => BackupOf::Table { schema: schema.clone(), name: table.clone() },
        _ => BackupOf::Database(name.clone()),
    };
    Ok((of, name))
}

async fn read(transaction: &mut Transaction, id: u32) -> Result<Option<Schedule>> {
    let row = transaction.get(schedule::key(id)).await?;
    row.map(|row| schedule::decode(&row)).transpose()
}

/// The cluster's time.
async fn now_ms(client: &Client) -> Result<u64> {
    Ok(moment::unix_ms_of(client.timestamp().await?.timestamp))
}
