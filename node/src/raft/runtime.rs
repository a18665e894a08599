//! The runtime under openraft: tokio's, with tasks and randomness through the doors of `env`.
//!
//! So that the end of a scope (a simulated crash) ends a group's tasks, and a seed decides election timeouts and who
//! wakes first.

use std::future::Future;
use std::io;
use std::time::Duration;

use env::watch;
use openraft::impls::TokioRuntime;
use openraft_rt::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use openraft_rt::{AsyncRuntime, OptionalSend, OptionalSync};

/// See the module.
#[derive(Debug)]
pub(super) struct EnvRuntime(TokioRuntime);

impl AsyncRuntime for EnvRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = env::task::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = env::random::Source;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = EnvWatch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        env::task::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        env::random::Source
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    async fn spawn_blocking<F, T>(work: F) -> Result<T, io::Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        env::task::blocking(work).await.map_err(io::Error::other)
    }
}

/// [`env::watch`] for openraft.
pub(super) struct EnvWatch;

impl Watch for EnvWatch {
    type Sender<T: OptionalSend + OptionalSync> = EnvSender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = EnvReceiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = watch::Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (EnvSender<T>, EnvReceiver<T>) {
        let (sender, receiver) = watch::channel(init);
        (EnvSender(sender), EnvReceiver(receiver))
    }
}

/// The sending end of an [`EnvWatch`].
pub(super) struct EnvSender<T>(watch::Sender<T>);

impl<T> Clone for EnvSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<EnvWatch, T> for EnvSender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).map_err(SendError)
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        self.0.send_if_modified(modify)
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.0.borrow()
    }

    fn subscribe(&self) -> EnvReceiver<T> {
        EnvReceiver(self.0.subscribe())
    }
}

/// The receiving end of an [`EnvWatch`].
pub(super) struct EnvReceiver<T>(watch::Receiver<T>);

impl<T> EnvReceiver<T> {
    /// What nobody changes any more.
    pub(super) fn of(value: T) -> Self {
        Self(watch::channel(value).1)
    }

    /// See [`watch::Receiver::let_witness`].
    pub(super) fn let_witness(&self, witness: impl Fn(&T) + Send + Sync + 'static) -> bool {
        self.0.let_witness(witness)
    }
}

impl<T> Clone for EnvReceiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<EnvWatch, T> for EnvReceiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        self.0.changed().await.map_err(|_| RecvError(()))
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.0.borrow()
    }

    fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
        self.0.borrow_and_update()
    }
}
