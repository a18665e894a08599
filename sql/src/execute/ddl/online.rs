//! Building an index beside others' statements: the steps that change its record, each a transaction of its own.
//!
//! ```text
//!  W           C1                        B                               [C2 ─▶ unique? ]              P
//!  ├───────────┼─────────────────────────┼────────────── fill ───────────┼────────────────────────────┼────▶ time
//!  timestamp   the record, write-only:   rows as of B become entries,    writes from here on have      public:
//!  of what is  all writes above it       versions at W                   seen all entries              it is read
//!  ingested    maintain the index
//! ```
//!
//! 1. What commits above C1 was planned under the record, for every commit proves that at its timestamp: it writes the index's
//!    entries along with its rows. What commits below is seen at B.
//! 2. Entries of the rows at B are ingested at W, which lies below C1: they stand below whatever was written to the index
//!    meanwhile, and what was deleted since B stays deleted. So at every timestamp from B on the index holds what the table
//!    holds, once all is ingested, but for keys of a unique one that two rows have had at a time.
//! 3. Of those writers do not hear while the entry of the first row is not there yet. So the version is raised once more: who
//!    commits above C2 has looked for other rows' entries in the whole index. If nobody has written to the index between W and
//!    a timestamp above C2, it holds what was ingested, and that had no key twice. If somebody has, table and index are
//!    compared at such a timestamp: where they differ, two rows have had one key.
//! 4. The record says that it is public, and reads that are planned from then on use it.
//!
//! History is kept from before W on by a transaction that is open all the time: were it not, nothing would be ingested any
//! more (`node/src/range/evaluate/ingest.rs`). Who fills the index may end at any moment: it shows signs of life
//! ([`building`](crate::catalog::building)), and whoever misses them for a while takes the record away and puts the
//! index on the list of those that are out of use. A step that comes late finds the record gone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, ScanOptions, Strength, Transaction, TransactionOptions, WaitPolicy};
use env::clock::{self, Instant};
use env::random;
use env::task::{self, JoinHandle};

use super::store;
use crate::catalog::building::{self, Build};
use crate::catalog::home::Home;
use crate::catalog::{IndexDescriptor, IndexId, IndexState, TableDescriptor, dropped, stored};
use crate::error::{Cause, Error, Result};

/// How often who fills an index shows that it goes on.
const SIGN_EVERY: Duration = Duration::from_secs(5);

/// About how often a gateway looks for builds that nobody goes on with.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Who has shown no sign for so long, found so in so many looks, is dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const LOOKS: u32 = 3;

/// So often a step is tried.
const ATTEMPTS_MAX: u32 = 10;

/// So many builds are kept an eye on.
const BUILDS_MAX: usize = 1 << 12;

const PAGE: ScanOptions = ScanOptions { rows_max: 256, bytes_max: 64 << 10, reverse: false };

/// What became of the record of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// The index is public.
    Public,
    /// There is no such index.
    Gone,
}

/// A step under way: it holds the catalog's lock.
struct Step {
    transaction: Transaction,
    version: u64,
    table: Option<TableDescriptor>,
}

impl Step {
    async fn begin(client: &Client, build: &Build) -> Result<Self> {
        let lock_timeout = Some(store::CATALOG_WAIT_MAX);
        let mut transaction =
            client.begin(TransactionOptions { lock_timeout, ..TransactionOptions::default() });
        let key = keys::sql::catalog_version_key();
        let locked = transaction.lock(vec![key], Strength::Exclusive, WaitPolicy::Block).await?;
        let version = store::version_of(locked.first().and_then(|locked| locked.value.as_ref()))?;
        let home = Home::of(build.database);
        let table = match transaction.get(stored::table_key(home, build.table)).await? {
            None => None,
            Some(row) => {
                let (kinds, _) = store::load_objects(&mut transaction, home).await?;
                Some(stored::decode_table(&row, &kinds)?)
            }
        };
        Ok(Self { transaction, version, table })
    }

    /// The index, where its record is: under the id that is being filled or, filled by another statement, under another.
    fn index(&mut self, build: &Build) -> Option<&mut IndexDescriptor> {
        self.table.as_mut()?.indexes.iter_mut().find(|index| index.oid == build.oid)
    }

    /// The catalog changes with this step.
    fn raise(&mut self) {
        let version = self.version.saturating_add(1);
        let key = keys::sql::catalog_version_key();
        self.transaction.put(key, Bytes::copy_from_slice(&version.to_be_bytes()));
    }

    /// Writes the table as it has become.
    fn put_table(&mut self, build: &Build) -> Result<()> {
        if let Some(table) = &mut self.table {
            table.schema_version = table.schema_version.saturating_add(1);
            let key = stored::table_key(Home::of(build.database), table.oid);
            self.transaction.put(key, stored::encode_table(table)?);
            self.raise();
        }
        Ok(())
    }

    async fn commit(mut self) -> Result<()> {
        self.transaction.commit().await?;
        Ok(())
    }
}

/// Takes a step until its outcome is known; each may be taken again, whether it was taken or not.
async fn take<T, F>(step: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut attempt = 0;
    loop {
        let error = match step().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        attempt += 1;
        let may_succeed = error.cause() != Cause::Statement || matches!(error.sqlstate, "08007" | "57P03");
        if !may_succeed || attempt >= ATTEMPTS_MAX {
            return Err(error.cause_is(Cause::Statement));
        }
        clock::sleep(Duration::from_millis(random::below(2 << attempt.min(6)))).await;
    }
}

/// From its commit on whoever writes to the index has seen all that is in it by now.
pub(crate) async fn fence(client: &Client, build: &Build) -> Result<()> {
    take(|| async {
        let mut step = Step::begin(client, build).await?;
        step.raise();
        step.commit().await
    })
    .await
}

/// Makes the index public, which holds all that it has to.
pub(crate) async fn publish(client: &Client, build: &Build) -> Result<Record> {
    take(|| async {
        let mut step = Step::begin(client, build).await?;
        step.transaction.delete(build.key());
        let found = match step.index(build) {
            None => Record::Gone,
            Some(index) if index.id == build.index && index.state == IndexState::WriteOnly => {
                index.state = IndexState::Public;
                step.put_table(build)?;
                Record::Public
            }
            Some(_) => Record::Public,
        };
        step.commit().await?;
        Ok(found)
    })
    .await
}

/// Takes an index away that is not public, and puts it on the list of those that are out of use.
pub(crate) async fn abandon(client: &Client, build: &Build) -> Result<Record> {
    take(|| async {
        let mut step = Step::begin(client, build).await?;
        step.transaction.delete(build.key());
        let found = match step.index(build) {
            None => Record::Gone,
            Some(index) if index.id == build.index && index.state == IndexState::WriteOnly => {
                if let Some(table) = &mut step.table {
                    table.indexes.retain(|index| index.oid != build.oid);
                }
                step.transaction.put(dropped::key(build.index), Bytes::new());
                step.put_table(build)?;
                Record::Gone
            }
            Some(_) => Record::Public,
        };
        step.commit().await?;
        Ok(found)
    })
    .await
}

/// Shows signs of life for a build until this is dropped.
pub(crate) struct SignsOfLife(JoinHandle<()>);

impl Drop for SignsOfLife {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SignsOfLife {
    /// Begins to.
    pub(crate) fn of(client: Client, build: Build) -> Self {
        Self(task::spawn(async move {
            loop {
                clock::sleep(SIGN_EVERY).await;
                match show_sign(&client, &build).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => tracing::debug!(%error, "a sign of life could not be shown"),
                }
            }
        }))
    }
}

/// Shows one; false: nobody waits for it any more.
async fn show_sign(client: &Client, build: &Build) -> Result<bool> {
    let mut transaction = client.begin(TransactionOptions::default());
    let Some(row) = transaction.get(build.key()).await? else {
        transaction.rollback().await;
        return Ok(false);
    };
    let mut build = Build::decode(&build.key(), &row)?;
    build.signs = build.signs.wrapping_add(1);
    transaction.put(build.key(), build.encode());
    transaction.commit().await?;
    Ok(true)
}

/// What is known of builds: the signs of life that were seen last, when for the first time, and in how many looks since.
type Watched = BTreeMap<IndexId, (u64, Instant, u32)>;

/// Takes away the indexes that nobody goes on to build, for ever.
pub(crate) async fn watch_builds(client: &Client) {
    let mut watched = Watched::new();
    loop {
        // Not all gateways at once.
        let jitter = Duration::from_millis(random::below(LOOK_EVERY.as_millis() as u64));
        clock::sleep(LOOK_EVERY / 2 + jitter).await;
        if let Err(error) = look_through(client, &mut watched).await {
            tracing::debug!(%error, "indexes that are being built could not be looked through");
        }
    }
}

/// Looks through the builds there are; takes away what nobody goes on with.
async fn look_through(client: &Client, watched: &mut Watched) -> Result<()> {
    let mut found = Watched::new();
    let mut left = Some(building::span());
    while let Some(span) = left.take() {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = client.begin(options);
        let page = transaction.scan(span, PAGE).await?;
        transaction.rollback().await;
        for (key, row) in page.rows {
            let build = match Build::decode(&key, &row) {
                Ok(build) => build,
                Err(error) => {
                    tracing::warn!(%error, "an index that is being built is not watched");
                    continue;
                }
            };
            let (since, looks) = match watched.get(&build.index) {
                Some((signs, since, looks)) if *signs == build.signs => (*since, looks.saturating_add(1)),
                _ => (clock::now(), 1),
            };
            if looks < LOOKS || since.elapsed() < SILENCE_MAX {
                if found.len() < BUILDS_MAX {
                    found.insert(build.index, (build.signs, since, looks));
                }
                continue;
            }
            match abandon(client, &build).await {
                Ok(record) => tracing::info!(
                    index = build.index,
                    ?record,
                    "an index that nobody goes on to build is taken away"
                ),
                Err(error) => {
                    // The others are not to wait for it.
                    tracing::debug!(index = build.index, %error, "an index could not be taken away");
                    found.insert(build.index, (build.signs, since, looks));
                }
            }
        }
        left = page.resume;
    }
    *watched = found;
    Ok(())
}

/// An index that was being built is there no more.
pub(crate) fn gone(name: &str) -> Error {
    Error::new("55000", format!("index \"{name}\" was dropped while it was being built"))
}
