//! What takes a session long, and how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::gateways::JobInfo;
use expr::session::now_micros;
use parking_lot::Mutex;

/// What a session is at that takes long, as others may see it at any time.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Vec<Arc<State>>>);

/// Something that takes long; it is seen until dropped.
pub(crate) struct Job {
    jobs: Arc<Jobs>,
    state: Arc<State>,
}

struct State {
    kind: &'static str,
    started_us: i64,
    /// Of the step that it is at.
    done: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    object: String,
    step: &'static str,
    unit: &'static str,
    total: Option<u64>,
}

impl Jobs {
    /// Something of this kind begins.
    pub(super) fn begin(self: &Arc<Self>, kind: &'static str) -> Job {
        let state = State {
            kind,
            started_us: now_micros(),
            done: AtomicU64::new(0),
            now: Mutex::new(Now::default()),
        };
        let state = Arc::new(state);
        self.0.lock().push(state.clone());
        Job { jobs: self.clone(), state }
    }

    /// All of it.
    pub(super) fn infos(&self) -> Vec<JobInfo> {
        self.0.lock().iter().map(|state| state.info()).collect()
    }
}

impl Job {
    /// This is what it is about.
    pub(crate) fn about(&self, object: String) {
        self.state.now.lock().object = object;
    }

    /// A step of it begins, of which so many units are to be done, if that is known.
    pub(crate) fn step(&self, step: &'static str, unit: &'static str, total: Option<u64>) {
        let mut now = self.state.now.lock();
        (now.step, now.unit, now.total) = (step, unit, total);
        self.state.done.store(0, Ordering::Relaxed);
    }

    /// So many more units of the step are done.
    pub(crate) fn add(&self, units: u64) {
        self.state.done.fetch_add(units, Ordering::Relaxed);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.jobs.0.lock().retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}

impl State {
    fn info(&self) -> JobInfo {
        let now = self.now.lock();
        JobInfo {
            kind: self.kind.to_owned(),
            object: now.object.clone(),
            step: now.step.to_owned(),
            unit: now.unit.to_owned(),
            done: self.done.load(Ordering::Relaxed),
            total: now.total,
            started_us: self.started_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_seen_until_it_is_over() {
        let jobs = Arc::new(Jobs::default());
        let (outer, inner) = (jobs.begin("restore"), jobs.begin("index build"));
        inner.about("public.i".to_owned());
        inner.step("reading rows", "rows", None);
        inner.add(7);
        inner.step("writing entries", "entries", Some(7));
        inner.add(3);
        let infos = jobs.infos();
        let [first, second] = infos.as_slice() else { panic!("{infos:?}") };
        assert_eq!(first.kind, "restore");
        let told = (second.object.as_str(), second.step.as_str(), second.done, second.total);
        assert_eq!(told, ("public.i", "writing entries", 3, Some(7)));
        drop(outer);
        assert_eq!(jobs.infos().len(), 1);
        drop(inner);
        assert!(jobs.infos().is_empty());
    }
}
