//! A value that many follow: each sees the newest, nobody every one.
//!
//! As tokio's `watch`, but for one thing: whoever waits is woken in the order in which the waiting began. Tokio's wakes
//! in an order of chance that no seed decides, so that a simulation would not replay.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

/// A channel that holds `value`.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// There is no sender any more, or, for a sender, no receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody is at the other end")]
pub struct Closed;

/// # Invariants
/// - The version changes under the value's write lock: who reads value and version under the read lock has a pair.
/// - The witness sees every value, in their order: it is called under the write lock.
/// - A waiter looks at the version once more when it is registered: no change is missed.
struct Shared<T> {
    value: RwLock<T>,
    version: AtomicU64,
    witness: OnceLock<Witness<T>>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    changes: Waiters,
    departures: Waiters,
}

/// Sees each value.
type Witness<T> = Box<dyn Fn(&T) + Send + Sync>;

#[derive(Default)]
struct Waiters(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Waiters {
    fn wake(&self) {
        let wakers = std::mem::take(&mut self.0.lock().wakers);
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Completes when `done` says so; asked again whenever [`Waiters::wake`] was called.
    async fn until<R>(&self, mut done: impl FnMut() -> Option<R>) -> R {
        let mut place = Place { waiters: self, id: None };
        poll_fn(|cx| match done() {
            Some(result) => Poll::Ready(result),
            None => {
                place.register(cx);
                done().map_or(Poll::Pending, Poll::Ready)
            }
        })
        .await
    }
}

/// A waiter's place in the queue, given up when dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    id: Option<u64>,
}

impl Place<'_> {
    fn register(&mut self, cx: &Context<'_>) {
        let mut waiting = self.waiters.0.lock();
        if let Some(id) = self.id
            && let Some((_, waker)) = waiting.wakers.iter_mut().find(|(other, _)| *other == id)
        {
            waker.clone_from(cx.waker());
            return;
        }
        let id = waiting.next;
        waiting.next += 1;
        waiting.wakers.push((id, cx.waker().clone()));
        self.id = Some(id);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.waiters.0.lock().wakers.retain(|(other, _)| *other != id);
        }
    }
}

/// Changes the value.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// A sender that nobody follows yet.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            witness: OnceLock::new(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
            changes: Waiters::default(),
            departures: Waiters::default(),
        }))
    }

    /// Sets the value; given back if nobody follows.
    pub fn send(&self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.send_replace(value);
        Ok(())
    }

    /// Sets the value, followed or not, and returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let mut before = value;
        self.send_modify(|current| std::mem::swap(current, &mut before));
        before
    }

    /// Changes the value.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value, and tells the receivers if `modify` returns true.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = {
            let mut value = self.0.value.write();
            let modified = modify(&mut value);
            if modified {
                if let Some(witness) = self.0.witness.get() {
                    witness(&value);
                }
                self.0.version.fetch_add(1, Ordering::Release);
            }
            modified
        };
        if modified {
            self.0.changes.wake();
        }
        modified
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.value.read())
    }

    /// A receiver that has seen the value there is.
    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::AcqRel);
        Receiver { seen: self.0.version.load(Ordering::Acquire), shared: Arc::clone(&self.0) }
    }

    /// Whether nobody follows.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many follow.
    pub fn receiver_count(&self) -> usize {
        self.0.receivers.load(Ordering::Acquire)
    }

    /// Completes when nobody follows.
    pub async fn closed(&self) {
        self.0.departures.until(|| self.is_closed().then_some(())).await;
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changes.wake();
        }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&*self.borrow()).finish()
    }
}

/// Follows the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// The value. Does not count as having seen it.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.value.read())
    }

    /// The value, seen now.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.value.read();
        self.seen = self.shared.version.load(Ordering::Acquire);
        Ref(value)
    }

    /// From now on `witness` is shown every value, the one there is at first, in their order and before anybody else can see
    /// it; it must not wait. Only the first witness is let in: whether this one was.
    pub fn let_witness(&self, witness: impl Fn(&T) + Send + Sync + 'static) -> bool {
        // No value comes meanwhile.
        let value = self.shared.value.read();
        witness(&value);
        self.shared.witness.set(Box::new(witness)).is_ok()
    }

    /// Whether there is a value that was not seen.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        if self.shared.version.load(Ordering::Acquire) != self.seen {
            Ok(true)
        } else if self.is_over() {
            Err(Closed)
        } else {
            Ok(false)
        }
    }

    /// The next change will be taken for one that was not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version.load(Ordering::Acquire).wrapping_sub(1);
    }

    /// The value there is counts as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.load(Ordering::Acquire);
    }

    /// Completes when there is a value that was not seen, and counts it as seen. May be dropped without loss.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let (shared, seen) = (&self.shared, self.seen);
        let changed = shared.changes.until(|| {
            let over = shared.senders.load(Ordering::Acquire) == 0;
            let version = shared.version.load(Ordering::Acquire);
            if version != seen { Some(Ok(version)) } else { over.then_some(Err(Closed)) }
        });
        self.seen = changed.await?;
        Ok(())
    }

    /// Completes when the value satisfies `wanted`, at once if it does already.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        loop {
            // The last value may satisfy though there is no sender any more.
            let over = self.is_over();
            if wanted(&self.borrow_and_update()) {
                break;
            }
            if over {
                return Err(Closed);
            }
            if self.changed().await.is_err() && !wanted(&self.borrow()) {
                return Err(Closed);
            }
        }
        Ok(self.borrow())
    }

    fn is_over(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.departures.wake();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&*self.borrow()).finish()
    }
}

/// A look at the value; no sender changes it meanwhile. Not to be kept across an await.
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(work: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    }

    #[test]
    fn a_receiver_sees_the_newest_value_once() {
        run(async {
            let (sender, mut receiver) = channel(1);
            assert_eq!(receiver.has_changed(), Ok(false));
            sender.send_replace(2);
            sender.send(3).unwrap();
            receiver.changed().await.unwrap();
            assert_eq!(*receiver.borrow(), 3);
            assert_eq!(receiver.has_changed(), Ok(false));
            assert!(!sender.send_if_modified(|_| false));
            assert_eq!(receiver.has_changed(), Ok(false));
        });
    }

    #[test]
    fn waiters_wake_in_the_order_in_which_they_came() {
        run(async {
            let sender = Sender::new(0);
            let order = Arc::new(Mutex::new(Vec::new()));
            let waiters: Vec<_> = (0..20)
                .map(|n| {
                    let (mut receiver, order) = (sender.subscribe(), Arc::clone(&order));
                    crate::task::spawn(async move {
                        receiver.changed().await.unwrap();
                        order.lock().push(n);
                    })
                })
                .collect();
            while sender.0.changes.0.lock().wakers.len() < 20 {
                tokio::task::yield_now().await;
            }
            sender.send_replace(1);
            for waiter in waiters {
                waiter.await.unwrap();
            }
            assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
        });
    }

    #[test]
    fn the_witness_sees_every_value_before_anybody_else() {
        let (sender, receiver) = channel(1);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        assert!(receiver.let_witness(move |value| all.lock().push(*value)));
        for value in 2..5 {
            sender.send_replace(value);
            assert_eq!(seen.lock().last(), Some(&*receiver.borrow()));
        }
        assert!(!receiver.let_witness(|_| {}));
        assert_eq!(*seen.lock(), [1, 2, 3, 4]);
    }

    #[test]
    fn the_last_value_outlives_the_sender_and_the_end_is_told() {
        run(async {
            let (sender, mut receiver) = channel(1);
            sender.send_replace(2);
            drop(sender);
            assert_eq!(receiver.changed().await, Ok(()));
            assert_eq!(receiver.changed().await, Err(Closed));
            assert_eq!(*receiver.wait_for(|value| *value == 2).await.unwrap(), 2);
            assert!(receiver.wait_for(|value| *value == 3).await.is_err());
        });
    }

    #[test]
    fn a_waiter_that_is_dropped_leaves_nothing_behind() {
        run(async {
            let (sender, mut receiver) = channel(1);
            let waited = crate::clock::timeout(std::time::Duration::from_millis(1), receiver.changed()).await;
            assert!(waited.is_err());
            assert!(sender.0.changes.0.lock().wakers.is_empty());
            drop(receiver);
            sender.closed().await;
            assert_eq!(sender.send(2), Err(2));
        });
    }
}
