//! A pool for long work, beside the runtime that answers sockets, health and raft.
//!
//! ```text
//! home ──STRIKES turns longer than TURN_MAX, or go_to_pool──▶ pool ──come_home, then anything to wait for──▶ home
//! ```
//!
//! A task of [`PoolHandle::spawn`] runs at home, on the runtime that spawned it, for as long as each of its turns
//! (polls) is short: short work pays nothing for the pool. Work that may last asks [`turn_is_over`] now and then, and
//! yields when it is; after a few such turns the task goes on in the pool, whose threads give way to all others of the process, until it
//! says that it is done. Wherever it runs, home is the current runtime: timers and tasks that it starts belong there.
//!
//! Without a pool (simulations, tests) such a task is one like any other.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};

use crate::clock::{self, Instant};
use crate::task::Scope;

/// How long a turn may last.
const TURN_MAX: Duration = Duration::from_millis(1);

/// So many long turns make a task leave home. One alone may be the scheduler's doing.
const STRIKES: u32 = 3;

/// Threads for each core: a call that cannot yield, of a function over a long value, is not to hold up the others.
const THREADS_PER_CORE: usize = 2;

/// How far the pool's threads stand behind the others (nice): an eighth of their share where both want a core.
const NICE: i32 = 9;

thread_local! {
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// The turn that a task of this module has on this thread.
#[derive(Clone, Copy)]
struct Turn {
    since: Instant,
    /// Where the task wants to go on.
    place: Place,
    /// How many long turns it has had since it was last at rest.
    strikes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Home,
    Pool,
}

/// Threads for long work. To be dropped outside of any runtime.
#[derive(Debug)]
pub struct Pool(Runtime);

impl Pool {
    /// Starts the threads, a few for each core, each with so much stack.
    ///
    /// # Errors
    /// The system starts no threads.
    pub fn start(name: &str, stack_bytes: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores.saturating_mul(THREADS_PER_CORE))
            // Who comes takes turns with those that are there.
            .global_queue_interval(2)
            .thread_name(name)
            .thread_stack_size(stack_bytes)
            .on_thread_start(|| {
                // Of the calling thread alone, as Linux has it.
                if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                    tracing::warn!(%error, "long statements run at the priority of all others");
                }
            })
            .build()?;
        Ok(Self(runtime))
    }

    /// What spawns tasks that may use the pool.
    pub fn handle(&self) -> PoolHandle {
        PoolHandle(Some(self.0.handle().clone()))
    }

    /// Gives what still runs on the pool up after a while.
    pub fn shutdown(self, patience: Duration) {
        self.0.shutdown_timeout(patience);
    }
}

/// What spawns tasks that may use a pool. The default has none.
#[derive(Clone, Debug, Default)]
pub struct PoolHandle(Option<Handle>);

impl PoolHandle {
    /// Spawns a task into `scope`. Its home is the current runtime.
    pub fn spawn<F>(&self, scope: &Scope, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let home = Handle::current();
        match &self.0 {
            None => drop(scope.spawn_on(&home, future)),
            Some(pool) => {
                let runtimes = Runtimes { home: home.clone(), pool: pool.clone() };
                let task = Roaming {
                    future: Some(Box::pin(future)),
                    place: Place::Home,
                    strikes: 0,
                    runtimes,
                    scope: scope.clone(),
                };
                drop(scope.spawn_on(&home, task));
            }
        }
    }
}

#[derive(Clone)]
struct Runtimes {
    home: Handle,
    pool: Handle,
}

/// A future that moves between two runtimes, as a task of the one it is at.
///
/// Invariant: `future` is there until the task has moved or is done.
struct Roaming<F> {
    future: Option<Pin<Box<F>>>,
    place: Place,
    strikes: u32,
    runtimes: Runtimes,
    scope: Scope,
}

impl<F> Future for Roaming<F>
where
    F: Future<Output = ()> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let home = (this.place == Place::Pool).then(|| this.runtimes.home.enter());
        let turn = TurnGuard::begin(this.place, this.strikes);
        let polled = future.as_mut().poll(cx);
        let Turn { place: wanted, strikes, .. } = turn.end();
        drop(home);
        this.strikes = strikes;
        if polled.is_ready() {
            this.future = None;
            return Poll::Ready(());
        }
        if wanted == this.place {
            return Poll::Pending;
        }
        let runtime = match wanted {
            Place::Home => &this.runtimes.home,
            Place::Pool => &this.runtimes.pool,
        };
        // A new task begins with a poll, so whatever woke this one meanwhile is not lost.
        let task = Roaming {
            future: this.future.take(),
            place: wanted,
            strikes,
            runtimes: this.runtimes.clone(),
            scope: this.scope.clone(),
        };
        drop(this.scope.spawn_on(runtime, task));
        Poll::Ready(())
    }
}

impl<F> Drop for Roaming<F> {
    /// What the future starts while it is dropped belongs home, too.
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            let _home = self.runtimes.home.enter();
            drop(future);
        }
    }
}

/// A turn that ends when this is dropped.
struct TurnGuard {
    before: Option<Turn>,
    begun: Turn,
}

impl TurnGuard {
    fn begin(place: Place, strikes: u32) -> Self {
        let begun = Turn { since: clock::now(), place, strikes };
        Self { before: TURN.replace(Some(begun)), begun }
    }

    /// How the turn ends.
    fn end(self) -> Turn {
        TURN.get().unwrap_or(self.begun)
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        TURN.set(self.before);
    }
}

/// Whether the task has worked for so long that it is to yield; after a few such turns it goes on in the pool. `None` for a task that no
/// [`PoolHandle`] with a pool has spawned.
pub fn turn_is_over() -> Option<bool> {
    let turn = TURN.get()?;
    let over = turn.since.elapsed() >= TURN_MAX;
    if over {
        let strikes = turn.strikes.saturating_add(1);
        let place = if strikes >= STRIKES { Place::Pool } else { turn.place };
        TURN.set(Some(Turn { place, strikes, ..turn }));
    }
    Some(over)
}

/// Moves the task to the pool: long work is about to begin.
pub async fn go_to_pool() {
    let Some(turn) = TURN.get() else { return };
    if turn.place == Place::Home {
        TURN.set(Some(Turn { place: Place::Pool, ..turn }));
        crate::task::yield_now().await;
    }
}

/// The long work is done: the task goes home when it next waits.
pub fn come_home() {
    if let Some(turn) = TURN.get() {
        TURN.set(Some(Turn { place: Place::Home, strikes: 0, ..turn }));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the pool is a part of the door for tasks")]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Works until it is to yield.
    async fn work() {
        while turn_is_over() == Some(false) {
            std::hint::spin_loop();
        }
        crate::task::yield_now().await;
    }

    fn home() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("home").enable_all().build().unwrap()
    }

    #[test]
    fn long_work_goes_to_the_pool_and_comes_home_again() {
        let pool = Pool::start("pool", 2 << 20).unwrap();
        let home = home();
        let (told, places) = oneshot::channel();
        home.block_on(async {
            pool.handle().spawn(&Scope::new(), async move {
                let mut places = vec![thread()];
                for _ in 0..STRIKES {
                    assert_eq!(thread(), "home");
                    work().await;
                }
                places.push(thread());
                // Timers and tasks belong home.
                clock::sleep(Duration::from_millis(1)).await;
                places.push(crate::task::spawn(async { thread() }).await.unwrap());
                places.push(thread());
                come_home();
                clock::sleep(Duration::from_millis(1)).await;
                places.push(thread());
                go_to_pool().await;
                places.push(thread());
                let _ = told.send(places);
            });
            let places = places.await.unwrap();
            assert_eq!(places, ["home", "pool", "home", "pool", "home", "pool"]);
        });
        pool.shutdown(Duration::from_secs(1));
    }

    /// Says from a task, a timer later, that it was dropped.
    struct Dropped(Option<oneshot::Sender<String>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let told = self.0.take().unwrap();
            drop(tokio::spawn(async move {
                clock::sleep(Duration::from_millis(1)).await;
                let _ = told.send(thread());
            }));
        }
    }

    #[test]
    fn the_end_of_the_scope_ends_a_task_wherever_it_is() {
        let pool = Pool::start("pool", 2 << 20).unwrap();
        let home = home();
        home.block_on(async {
            let scope = Scope::new();
            let (alive, ended) = oneshot::channel();
            pool.handle().spawn(&scope, async move {
                let _alive = Dropped(Some(alive));
                loop {
                    work().await;
                }
            });
            clock::sleep(Duration::from_millis(20)).await;
            scope.end();
            assert_eq!(ended.await.unwrap(), "home");
        });
        pool.shutdown(Duration::from_secs(1));
    }
}
