//! A gateway's tenure, and those of others that are gone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Isolation, ScanOptions, Strength, Transaction, TransactionOptions, WaitPolicy};
use env::clock::{self, Instant};
use env::{random, watch};
use keys::Span;
use parking_lot::Mutex;

use super::ended::{Ended, Gone};
use super::stored;
use crate::catalog::{FIRST_TEMPORARY_OID, IndexId, Oid, dropped};
use crate::error::{Error, Result};

/// How often a tenure is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// So long after it was renewed nobody can have found it unchanged often enough.
const TRUSTED_FOR: Duration = Duration::from_secs(10);

/// So long after the last session that kept anything has gone it is given up.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// How often a gateway looks at the tenures of others: so many times as often as safe points move, within these.
const STEPS: u32 = 2;
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(60);

/// A tenure that was found the same in so many looks is forfeit. In the time of half as many of the shortest ones it is renewed
/// more than once.
const LOOKS: u32 = 30;

/// What fails is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// So many numbers of indexes a session takes at once.
const INDEXES: u64 = 32;

const PAGE: ScanOptions = ScanOptions { rows_max: 256, bytes_max: 0, reverse: false };

/// What a gateway does about what its sessions keep, and those of others that are gone.
pub(crate) struct Keeper {
    tenure: Mutex<Option<Tenure>>,
    /// Held by whoever writes the tenure's row.
    writing: futures::lock::Mutex<()>,
    /// Counts the sessions that have ever kept anything.
    numbers: AtomicU64,
    /// How many of them there are.
    living: AtomicUsize,
    /// Those that are gone, and not yet given back what they kept.
    ended: Mutex<Ended>,
    wake: watch::Sender<u64>,
}

struct Tenure {
    id: Bytes,
    number: u64,
    /// It was renewed no earlier.
    renewed: Moment,
    /// How often that has come through.
    renewals: u64,
}

impl Tenure {
    fn is_trusted(&self) -> bool {
        self.renewed.is_within(TRUSTED_FOR)
    }
}

/// A moment by both clocks: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy)]
struct Moment {
    steady: Instant,
    wall_ms: u64,
}

impl Moment {
    fn now() -> Self {
        Self { steady: clock::now(), wall_ms: clock::wall_ms() }
    }

    /// Whether less than that has passed since, whichever clock is asked.
    fn is_within(self, span: Duration) -> bool {
        let by_wall = clock::wall_ms().checked_sub(self.wall_ms).map(Duration::from_millis);
        let steady = clock::now().saturating_duration_since(self.steady);
        steady < span && by_wall.is_some_and(|by_wall| by_wall < span)
    }
}

/// A session's hold on what it keeps: once it is dropped, that is given back.
pub(crate) struct Holder {
    keeper: Arc<Keeper>,
    tenure: Bytes,
    session: u64,
    /// Whether the outcome of a commit of what it keeps is not known.
    commits: AtomicBool,
    /// How many oids it has given.
    oids: AtomicU32,
    /// Numbers of indexes that are the session's to use.
    indexes: Mutex<Range<u64>>,
}

/// What is known of the tenures of others: the number of each, and in how many looks it was found the same.
type Seen = BTreeMap<Bytes, (u64, u32)>;

fn writing() -> TransactionOptions {
    TransactionOptions { isolation: Isolation::ReadCommitted, ..TransactionOptions::default() }
}

fn lost() -> Error {
    Error::new("57P01", "terminating connection because its temporary tables were given up")
}

impl Keeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            tenure: Mutex::default(),
            writing: futures::lock::Mutex::default(),
            numbers: AtomicU64::new(0),
            living: AtomicUsize::new(0),
            ended: Mutex::default(),
            wake: watch::Sender::new(0),
        })
    }

    /// A session begins to keep something.
    ///
    /// # Errors
    /// The tenure under which it does so cannot be written.
    pub(crate) async fn hold(self: &Arc<Self>, client: &Client) -> Result<Holder> {
        let _alone = self.writing.lock().await;
        let known = self.tenure.lock().as_ref().map(|tenure| tenure.id.clone());
        let tenure = match known {
            Some(id) => id,
            None => self.begin(client).await?,
        };
        let session = self.numbers.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.living.fetch_add(1, Ordering::Relaxed);
        self.wake();
        Ok(Holder {
            keeper: Arc::clone(self),
            tenure,
            session,
            commits: AtomicBool::new(false),
            oids: AtomicU32::new(0),
            indexes: Mutex::new(0..0),
        })
    }

    async fn begin(&self, client: &Client) -> Result<Bytes> {
        let id = Bytes::copy_from_slice(&random::id());
        let mut transaction = client.begin(writing());
        transaction.put(stored::tenure_key(&id), stored::encode(1));
        let renewed = Moment::now();
        transaction.commit().await?;
        *self.tenure.lock() = Some(Tenure { id: id.clone(), number: 1, renewed, renewals: 0 });
        Ok(id)
    }

    /// Whether nobody can have found the tenure unchanged too often since it was renewed, and how often it was. `None`: it is
    /// another by now.
    fn standing(&self, id: &Bytes) -> Option<(bool, u64)> {
        let tenure = self.tenure.lock();
        let tenure = tenure.as_ref().filter(|tenure| tenure.id == *id)?;
        Some((tenure.is_trusted(), tenure.renewals))
    }

    /// Makes sure that a tenure is still this gateway's. False: it is not.
    ///
    /// However long renewals take: where two have come through since it was asked for, the second began after that.
    async fn attest(&self, client: &Client, id: &Bytes) -> Result<bool> {
        let Some((_, asked)) = self.standing(id) else { return Ok(false) };
        loop {
            let _alone = self.writing.lock().await;
            match self.standing(id) {
                None => return Ok(false),
                // Whoever else waited for the same may have renewed it.
                Some((true, _)) => return Ok(true),
                Some((false, renewals)) if renewals >= asked.saturating_add(2) => return Ok(true),
                Some((false, _)) => self.renew_alone(client).await?,
            }
        }
    }

    /// Renews the tenure, if there is one. If it is forfeit there is none any more.
    async fn renew(&self, client: &Client) -> Result<()> {
        let _alone = self.writing.lock().await;
        self.renew_alone(client).await
    }

    /// The same for who holds `writing`.
    async fn renew_alone(&self, client: &Client) -> Result<()> {
        let known =
            self.tenure.lock().as_ref().map(|tenure| (tenure.id.clone(), tenure.number, tenure.renewals));
        let Some((id, number, renewals)) = known else { return Ok(()) };
        let key = stored::tenure_key(&id);
        let mut transaction = client.begin(writing());
        let locked = transaction.lock_key(&key, Strength::Exclusive, WaitPolicy::Block).await?;
        let there = locked.value.as_ref().map(|value| stored::decode(value)).transpose()?;
        let Some(there) = there.filter(|there| *there > 0) else {
            transaction.rollback().await;
            *self.tenure.lock() = None;
            tracing::warn!(
                "this gateway was away for so long that others have given up its temporary tables"
            );
            return Ok(());
        };
        // An earlier renewal may have come through though that was not told.
        let next = there.max(number).saturating_add(1);
        transaction.put(key, stored::encode(next));
        // Others find the new number once this is committed, which is later.
        let renewed = Moment::now();
        transaction.commit().await?;
        let renewals = renewals.saturating_add(1);
        *self.tenure.lock() = Some(Tenure { id, number: next, renewed, renewals });
        Ok(())
    }

    /// Keeps the tenure, gives back what sessions have kept that are gone, and looks for gateways that are: each at a pace of its
    /// own, so that the tenure is renewed however much there is to give back. Never completes.
    pub(crate) async fn run(&self, client: &Client) {
        futures::join!(self.keep_on(client), self.give_back_on(client), self.look_on(client));
    }

    /// Keeps the tenure.
    async fn keep_on(&self, client: &Client) {
        let mut wake = self.wake.subscribe();
        let (mut wait, mut unused_since) = (RENEWED_EVERY, None);
        loop {
            if self.tenure.lock().is_none() {
                let _ = wake.changed().await;
                continue;
            }
            clock::sleep(wait).await;
            wait = RENEWED_EVERY;
            if let Err(error) = self.keep(client, &mut unused_since).await {
                tracing::debug!(%error, "what sessions keep could not be renewed");
                wait = AGAIN;
            }
        }
    }

    /// Gives back what sessions have kept that are gone.
    async fn give_back_on(&self, client: &Client) {
        let mut wake = self.wake.subscribe();
        loop {
            let now = clock::now();
            let (turn, next) = {
                let mut ended = self.ended.lock();
                (ended.turn(now), ended.next())
            };
            if turn.is_empty() {
                match next {
                    Some(due) => {
                        let wait = due.saturating_duration_since(now);
                        let _ = clock::timeout(wait, wake.changed()).await;
                    }
                    None => {
                        let _ = wake.changed().await;
                    }
                }
                continue;
            }
            if let Err(error) = self.give_back(client, &turn).await {
                tracing::debug!(%error, "temporary tables of sessions that are gone are given back later");
                clock::sleep(AGAIN).await;
            }
        }
    }

    /// Looks at the tenures of others now and then.
    async fn look_on(&self, client: &Client) {
        let mut seen = Seen::default();
        loop {
            clock::sleep(pause(client)).await;
            if client.safe_point() == 0 {
                continue;
            }
            if let Err(error) = self.look(client, &mut seen).await {
                tracing::debug!(%error, "what gateways keep could not be looked at");
            }
        }
    }

    /// Renews the tenure; or gives it up, if nobody has used it for a while.
    async fn keep(&self, client: &Client, unused_since: &mut Option<Instant>) -> Result<()> {
        if self.living.load(Ordering::Relaxed) > 0 {
            *unused_since = None;
            return self.renew(client).await;
        }
        let since = *unused_since.get_or_insert_with(clock::now);
        if clock::now().saturating_duration_since(since) < UNUSED_MAX {
            return self.renew(client).await;
        }
        let _alone = self.writing.lock().await;
        if self.living.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        let known = self.tenure.lock().as_ref().map(|tenure| tenure.id.clone());
        if let Some(id) = known {
            end(client, &id).await?;
            *self.tenure.lock() = None;
            *unused_since = None;
        }
        Ok(())
    }

    /// Gives back, in one transaction, what sessions have kept whose turn it is: a page of it.
    async fn give_back(&self, client: &Client, turn: &[Gone]) -> Result<()> {
        let mut transaction = client.begin(writing());
        let (mut done, mut rows): (usize, usize) = (0, 0);
        for Gone { tenure, session, .. } in turn {
            let mut left = Some(stored::kept_for(tenure, *session));
            while rows < PAGE.rows_max
                && let Some(named) = left.take()
            {
                let (count, others) = give_up_some(&mut transaction, named).await?;
                rows = rows.saturating_add(count);
                left = others;
            }
            if left.is_some() {
                // What is left of it comes first the next time.
                break;
            }
            done = done.saturating_add(1);
        }
        transaction.commit().await?;
        self.ended.lock().done(done, clock::now());
        Ok(())
    }

    /// Looks at the tenures of others: what is forfeit is given back.
    async fn look(&self, client: &Client, seen: &mut Seen) -> Result<()> {
        let own = self.tenure.lock().as_ref().map(|tenure| tenure.id.clone());
        let mut found = Seen::default();
        let mut left = Some(stored::tenures());
        while let Some(span) = left.take() {
            let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
            let mut transaction = client.begin(options);
            let page = transaction.scan(span, PAGE).await?;
            transaction.rollback().await;
            for (key, value) in page.rows {
                let Some(id) = stored::tenure_of(&key).filter(|id| own.as_ref() != Some(id)) else {
                    continue;
                };
                let Ok(number) = stored::decode(&value) else {
                    tracing::debug!("the row of a tenure that this version cannot read is passed over");
                    continue;
                };
                let looks = match seen.get(&id) {
                    Some((before, looks)) if *before == number => looks.saturating_add(1),
                    _ => 1,
                };
                found.insert(id, (number, looks));
            }
            left = page.resume;
        }
        *seen = found;
        let is_over = |(_, (number, looks)): &(&Bytes, &(u64, u32))| *number == 0 || *looks >= LOOKS;
        let over: Vec<_> =
            seen.iter().filter(is_over).map(|(id, (number, _))| (id.clone(), *number)).collect();
        let mut outcome = Ok(());
        for (id, number) in over {
            match take_over(client, &id, number).await {
                Ok(()) => {
                    seen.remove(&id);
                }
                // The others are none the worse for it.
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn wake(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// How long until the next look.
fn pause(client: &Client) -> Duration {
    let period = (client.safe_point_step() * STEPS).clamp(LOOK_MIN, LOOK_MAX);
    // Not all gateways at once.
    period / 2 + Duration::from_millis(random::below(period.as_millis() as u64))
}

/// Nobody renews a tenure any more, unless somebody has since it had this number.
async fn forfeit(client: &Client, id: &Bytes, number: u64) -> Result<bool> {
    let key = stored::tenure_key(id);
    let mut transaction = client.begin(writing());
    let locked = transaction.lock_key(&key, Strength::Exclusive, WaitPolicy::Block).await?;
    let there = locked.value.as_ref().map(|value| stored::decode(value)).transpose()?;
    if there != Some(number) {
        transaction.rollback().await;
        return Ok(false);
    }
    transaction.put(key, stored::encode(0));
    transaction.commit().await?;
    Ok(true)
}

/// Gives back all that was kept under a tenure, then the tenure.
async fn end(client: &Client, id: &Bytes) -> Result<()> {
    give_up(client, stored::kept_under(id)).await?;
    let mut transaction = client.begin(writing());
    transaction.delete(stored::tenure_key(id));
    transaction.commit().await?;
    Ok(())
}

/// Gives up a tenure that had this number for too long.
async fn take_over(client: &Client, id: &Bytes, number: u64) -> Result<()> {
    if number == 0 || forfeit(client, id, number).await? {
        end(client, id).await?;
        tracing::info!("the temporary tables of a gateway that is gone are given up");
    }
    Ok(())
}

/// Puts the indexes that are named there on the list of those that are out of use.
async fn give_up(client: &Client, named: Span) -> Result<()> {
    let mut left = Some(named);
    while let Some(span) = left.take() {
        let mut transaction = client.begin(writing());
        (_, left) = give_up_some(&mut transaction, span).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The same of the first of them; how many those are, and where the others are named.
async fn give_up_some(transaction: &mut Transaction, named: Span) -> Result<(usize, Option<Span>)> {
    let page = transaction.scan_unrelied(named, PAGE).await?;
    let count = page.rows.len();
    for (key, _) in page.rows {
        if let Some(index) = stored::index_of(&key) {
            transaction.put(dropped::key(index), Bytes::new());
        }
        transaction.delete(key);
    }
    transaction.frees_space();
    Ok((count, page.resume))
}

impl Holder {
    /// The session's number among those of its gateway that have kept anything.
    pub(crate) fn session(&self) -> u64 {
        self.session
    }

    /// An oid for something temporary.
    pub(crate) fn oid(&self) -> Result<Oid> {
        let given = self.oids.fetch_add(1, Ordering::Relaxed);
        let oid = FIRST_TEMPORARY_OID.checked_add(given);
        oid.ok_or_else(|| Error::new("54000", "oids of temporary objects are exhausted"))
    }

    /// A number from the cluster's counter of indexes. The session takes some at once.
    pub(crate) async fn index_id(&self, client: &Client) -> Result<u64> {
        let there = self.indexes.lock().next();
        if let Some(id) = there {
            return Ok(id);
        }
        let first = client.allocate_ids("index", INDEXES).await?;
        let mut indexes = self.indexes.lock();
        *indexes = first.saturating_add(1)..first.saturating_add(INDEXES);
        Ok(first)
    }

    /// The row that says that an index is kept for it.
    pub(crate) fn key(&self, index: IndexId) -> Bytes {
        stored::key(&self.tenure, self.session, index)
    }

    /// A commit of what it keeps begins, or its outcome is known.
    pub(crate) fn commits(&self, is_under_way: bool) {
        self.commits.store(is_under_way, Ordering::Relaxed);
    }

    /// Whether the session may go on without asking.
    pub(crate) fn is_trusted(&self) -> bool {
        self.keeper.standing(&self.tenure).is_some_and(|(is_trusted, _)| is_trusted)
    }

    /// Makes sure that what the session keeps is still its own.
    ///
    /// # Errors
    /// 57P01: it was given up. The cluster cannot be asked.
    pub(crate) async fn attest(&self, client: &Client) -> Result<()> {
        if self.keeper.attest(client, &self.tenure).await? { Ok(()) } else { Err(lost()) }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.keeper.ended.lock().push(Gone {
            tenure: self.tenure.clone(),
            session: self.session,
            commits: self.commits.load(Ordering::Relaxed),
        });
        self.keeper.living.fetch_sub(1, Ordering::Relaxed);
        self.keeper.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_long_ago_as_either_clock_says() {
        let now = Moment::now();
        let span = Duration::from_secs(10);
        assert!(now.is_within(span));
        let ago = |seconds: u64| Duration::from_secs(seconds);
        let before = |seconds| Moment { steady: now.steady.checked_sub(ago(seconds)).unwrap(), ..now };
        assert!(before(5).is_within(span) && !before(11).is_within(span));
        // The machine slept; its clock was set back.
        let by_wall = |wall_ms| Moment { wall_ms, ..now };
        assert!(!by_wall(now.wall_ms - 11_000).is_within(span));
        assert!(!by_wall(now.wall_ms + 60_000).is_within(span));
    }
}
