//! A gateway's part in notifications: who listens here, and how far the queue has been read for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use client::gateways::{Kind, NotifiedQuestion};
use env::clock::{self, Instant};
use env::watch;
use parking_lot::Mutex;

use super::mailbox::{Mailbox, Waiting};
use super::notification::Notification;
use super::queue::{self, KnownTail, Page};
use super::stored::Row;
use crate::activity::{Lost, Signals};
use crate::error::Result;

/// How often a gateway with listeners looks, whatever it is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it sees to what else is to be done.
const UPKEEP_EVERY: Duration = Duration::from_secs(2);

/// How often a reader says that it is there, however little it has read. It is given up after 30 seconds.
const RENEWED_EVERY: Duration = Duration::from_secs(8);

/// For how long a gateway goes on reading for nobody.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// After how long is tried again what failed.
const AGAIN: Duration = Duration::from_millis(200);

/// How long a session that hears itself waits for that.
const OWN_WAIT_MAX: Duration = Duration::from_secs(2);

/// So many times at once others are told. One that is silent takes a while.
const TELLING_MAX: usize = 4;

/// The listeners of a gateway.
///
/// # Invariants
/// - As long as there are listeners the gateway is a reader of the queue.
/// - Every row after `position` that was read was given, in order, to whoever listened to its channels.
pub(crate) struct Bulletin {
    /// Rises when there may be something to do.
    wake: Arc<watch::Sender<u64>>,
    /// Up to which row has been read.
    reached: watch::Sender<u64>,
    board: Mutex<Board>,
    /// Held while the gateway becomes a reader, or ceases to be one.
    joining: futures::lock::Mutex<()>,
    waiting: Arc<Waiting>,
    tail: KnownTail,
    telling: Mutex<Telling>,
}

#[derive(Default)]
struct Board {
    /// Up to where has been read; `None`: the gateway is no reader.
    position: Option<u64>,
    /// How many sessions listen, or are about to.
    listeners: usize,
    /// By database and name.
    channels: BTreeMap<Channel, Vec<Subscriber>>,
    /// The queue may hold what nobody here reads.
    may_hold: bool,
}

/// A channel of a database.
pub(super) type Channel = (u32, Arc<str>);

struct Subscriber {
    mailbox: Arc<Mailbox>,
    /// The row after which the session began to listen.
    after: u64,
}

#[derive(Default)]
struct Telling {
    under_way: usize,
    again: bool,
}

/// When what is to be done.
struct Upkeep {
    due: Instant,
    renewed: Instant,
    /// What was said then.
    said: u64,
    idle_since: Option<Instant>,
}

/// As long as it is there, the gateway reads.
pub(super) struct Seat(Arc<Bulletin>);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut board = self.0.board.lock();
        board.listeners = board.listeners.saturating_sub(1);
    }
}

impl Bulletin {
    /// With nobody yet; it has a look whenever `wake` rises.
    pub(crate) fn new(wake: Arc<watch::Sender<u64>>) -> Arc<Self> {
        Arc::new(Self {
            wake,
            reached: watch::Sender::new(0),
            board: Mutex::default(),
            joining: futures::lock::Mutex::new(()),
            waiting: Arc::default(),
            tail: KnownTail::default(),
            telling: Mutex::default(),
        })
    }

    /// How far rows were deleted, as far as is known here.
    pub(crate) fn tail(&self) -> &KnownTail {
        &self.tail
    }

    fn wake(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A session is about to listen: the gateway reads from now on. Up to which row there was something at this moment.
    pub(super) async fn join(self: &Arc<Self>, client: &Client) -> Result<(Seat, u64)> {
        self.board.lock().listeners += 1;
        let seat = Seat(self.clone());
        let _alone = self.joining.lock().await;
        if self.board.lock().position.is_some() {
            return Ok((seat, queue::newest(client, &self.tail).await?));
        }
        let newest = queue::register(client).await?;
        self.board.lock().position = Some(newest);
        self.reached.send_replace(newest);
        self.wake();
        Ok((seat, newest))
    }

    /// Up to which row there is something.
    pub(super) async fn newest(&self, client: &Client) -> Result<u64> {
        queue::newest(client, &self.tail).await
    }

    /// A mailbox for a session that is ended by `signals`.
    pub(super) fn mailbox(&self, signals: Box<dyn Signals>) -> Arc<Mailbox> {
        Arc::new(Mailbox::new(signals, self.waiting.clone()))
    }

    /// What is sent to the channel after row `after` goes into the mailbox, too.
    pub(super) fn subscribe(&self, channel: Channel, mailbox: Arc<Mailbox>, after: u64) {
        let mut board = self.board.lock();
        board.channels.entry(channel).or_default().push(Subscriber { mailbox, after });
    }

    /// It does no more.
    pub(super) fn unsubscribe(&self, channel: &Channel, mailbox: &Arc<Mailbox>) {
        let mut board = self.board.lock();
        if let Some(subscribers) = board.channels.get_mut(channel) {
            subscribers.retain(|subscriber| !Arc::ptr_eq(&subscriber.mailbox, mailbox));
            if subscribers.is_empty() {
                board.channels.remove(channel);
            }
        }
    }

    /// A session here has put rows into the queue, the last of them this one; waits until they were read here if the session
    /// `hears_itself`.
    pub(super) async fn posted(self: &Arc<Self>, client: &Client, number: u64, hears_itself: bool) {
        self.board.lock().may_hold = true;
        self.wake();
        self.tell_others(client);
        if hears_itself {
            let mut reached = self.reached.subscribe();
            let reads = async {
                let _ = reached.wait_for(|reached| *reached >= number).await;
            };
            if clock::timeout(OWN_WAIT_MAX, reads).await.is_err() {
                tracing::debug!("a session's own notifications come later than its commit");
            }
        }
    }

    /// Tells other gateways that there is something, in the background.
    fn tell_others(self: &Arc<Self>, client: &Client) {
        let mut telling = self.telling.lock();
        telling.again = true;
        if telling.under_way >= TELLING_MAX {
            return;
        }
        telling.under_way += 1;
        drop(telling);
        let (bulletin, client) = (self.clone(), client.clone());
        env::task::spawn(async move {
            while bulletin.is_to_tell() {
                if let Err(error) = client.ask_gateways(Kind::Notified(NotifiedQuestion {})).await {
                    tracing::debug!(%error, "other gateways look for notifications only after a while");
                }
            }
        });
    }

    fn is_to_tell(&self) -> bool {
        let mut telling = self.telling.lock();
        let again = std::mem::take(&mut telling.again);
        if !again {
            telling.under_way = telling.under_way.saturating_sub(1);
        }
        again
    }

    fn is_idle(&self) -> bool {
        let board = self.board.lock();
        board.position.is_none() && board.listeners == 0 && !board.may_hold
    }

    /// Reads for the listeners here, and deletes what nobody has to read any more. Never completes.
    pub(crate) async fn run(&self, client: &Client) {
        let mut wake = self.wake.subscribe();
        let now = clock::now();
        let mut upkeep = Upkeep { due: now, renewed: now, said: 0, idle_since: None };
        loop {
            if self.is_idle() {
                if wake.changed().await.is_err() {
                    return std::future::pending().await;
                }
            } else {
                // Whether it was told or not, it looks.
                let _ = clock::timeout(LOOK_EVERY, wake.changed()).await;
            }
            let worked = async {
                self.read(client).await?;
                self.keep_up(client, &mut upkeep).await
            };
            if let Err(error) = worked.await {
                match error.sqlstate {
                    // No waiting helps.
                    "XX001" | "0A000" => tracing::warn!(%error, "notifications cannot be read"),
                    _ => tracing::debug!(%error, "notifications are late"),
                }
                clock::sleep(AGAIN).await;
            }
        }
    }

    /// Reads what there is.
    async fn read(&self, client: &Client) -> Result<()> {
        loop {
            let Some(position) = self.board.lock().position else { return Ok(()) };
            match queue::read(client, &self.tail, position).await? {
                Page::Nothing => return Ok(()),
                Page::Missed { newest } => self.miss(newest),
                Page::Rows(rows) => self.deliver(rows),
            }
        }
    }

    fn deliver(&self, rows: Vec<(u64, Row)>) {
        let mut board = self.board.lock();
        for (number, row) in rows {
            let database = row.database;
            for notification in Notification::of_row(row) {
                let Some(subscribers) = board.channels.get(&(database, notification.channel.clone())) else {
                    continue;
                };
                let notification = Arc::new(notification);
                for subscriber in subscribers.iter().filter(|subscriber| subscriber.after < number) {
                    subscriber.mailbox.put(&notification);
                }
            }
            board.position = Some(number);
            self.reached.send_replace(number);
        }
        board.may_hold = true;
    }

    /// What was sent to sessions here is gone: they end.
    fn miss(&self, newest: u64) {
        tracing::warn!(
            "notifications were deleted before this gateway has read them: its listening sessions end"
        );
        let mut board = self.board.lock();
        for subscriber in std::mem::take(&mut board.channels).into_values().flatten() {
            subscriber.mailbox.end(Lost::Missed);
        }
        board.position = Some(newest);
        self.reached.send_replace(newest);
    }

    async fn keep_up(&self, client: &Client, upkeep: &mut Upkeep) -> Result<()> {
        let now = clock::now();
        if now < upkeep.due {
            return Ok(());
        }
        upkeep.due = now + UPKEEP_EVERY;
        self.leave_if_idle(client, upkeep, now).await?;
        let position = self.board.lock().position;
        if let Some(position) = position
            && (position != upkeep.said || now.saturating_duration_since(upkeep.renewed) >= RENEWED_EVERY)
        {
            queue::renew(client, position).await?;
            (upkeep.said, upkeep.renewed) = (position, now);
        }
        if std::mem::take(&mut self.board.lock().may_hold) {
            let trimmed = queue::trim(client, &self.tail).await;
            if !matches!(trimmed, Ok(false)) {
                self.board.lock().may_hold = true;
            }
            trimmed?;
        }
        Ok(())
    }

    /// Ceases to be a reader if nobody has listened for a while.
    async fn leave_if_idle(&self, client: &Client, upkeep: &mut Upkeep, now: Instant) -> Result<()> {
        let is_idle = |board: &Board| board.listeners == 0 && board.position.is_some();
        if !is_idle(&self.board.lock()) {
            upkeep.idle_since = None;
            return Ok(());
        }
        let since = *upkeep.idle_since.get_or_insert(now);
        if now.saturating_duration_since(since) < IDLE_MAX {
            return Ok(());
        }
        let _alone = self.joining.lock().await;
        upkeep.idle_since = None;
        {
            let mut board = self.board.lock();
            if !is_idle(&board) {
                return Ok(());
            }
            board.position = None;
            board.may_hold = true;
        }
        queue::unregister(client).await
    }
}

impl std::fmt::Debug for Bulletin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulletin").field("listeners", &self.board.lock().listeners).finish_non_exhaustive()
    }
}
