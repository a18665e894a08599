//! Locks and atomics whose interleavings are explored: those of writing, publishing, sealing, memtables and the log.
//!
//! They are parking_lot's and the standard library's. With the feature `shuttle` they are those of the shuttle crate,
//! which runs a test's threads one at a time and chooses at each of these calls which one goes on; only the tests in
//! `db/tests/interleavings.rs` can run then.

#[cfg(not(feature = "shuttle"))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

#[cfg(feature = "shuttle")]
pub(crate) use explored::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

/// parking_lot's faces on shuttle's locks.
#[cfg(feature = "shuttle")]
mod explored {
    use std::ops::{Deref, DerefMut};
    use std::sync::{PoisonError, TryLockError};
    use std::time::Duration;

    use shuttle::sync as base;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(base::Mutex<T>);

    /// Holds None only while it waits for a condition.
    pub(crate) struct MutexGuard<'a, T>(Option<base::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(base::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(MutexGuard(Some(guard))),
                Err(TryLockError::Poisoned(error)) => Some(MutexGuard(Some(error.into_inner()))),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }

    #[expect(clippy::expect_used, reason = "the guard is there but for the time of a wait, which borrows it")]
    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("a guard that is held")
        }
    }

    #[expect(clippy::expect_used, reason = "the guard is there but for the time of a wait, which borrows it")]
    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("a guard that is held")
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(base::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            if let Some(held) = guard.0.take() {
                guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
            }
        }

        /// Time does not pass here: it is over at once.
        pub(crate) fn wait_for<T>(&self, _guard: &mut MutexGuard<'_, T>, _duration: Duration) {}

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(base::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> base::RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> base::RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
