//! Proposals whose proposers are followed by a trace: what the log and apply do for them shows in it, on whatever thread.
//!
//! Neither looks into commands. But a command is one piece of memory from its proposal to its being applied here, and nobody else has
//! that as long as a proposal is under way: by its place it is known again.
//!
//! # Invariants
//! - A command stands here as long as its proposal is under way, and is kept by that: no other one can have its place.
//! - Where nobody is followed it costs one load to find that out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use env::clock::Instant;
use env::trace::{self, Context};
use parking_lot::Mutex;

/// The proposals of a store that are followed.
#[derive(Default)]
pub(super) struct Followed {
    proposals: Mutex<HashMap<usize, (Bytes, Context)>>,
    count: AtomicUsize,
}

/// A proposal that is followed, until dropped.
pub(super) struct Following {
    followed: Arc<Followed>,
    place: usize,
}

impl Drop for Following {
    fn drop(&mut self) {
        let gone = self.followed.proposals.lock().remove(&self.place);
        self.followed.count.fetch_sub(usize::from(gone.is_some()), Ordering::Relaxed);
    }
}

impl Followed {
    /// Follows a proposal for the span that the task is in, if it is in one.
    pub(super) fn follow(self: &Arc<Self>, command: &Bytes) -> Option<Following> {
        let context = trace::current()?;
        let place = place(command);
        let before = self.proposals.lock().insert(place, (command.clone(), context));
        self.count.fetch_add(usize::from(before.is_none()), Ordering::Relaxed);
        Some(Following { followed: self.clone(), place })
    }

    /// Who follows any of these commands.
    pub(super) fn followers<'a>(&self, commands: impl Iterator<Item = &'a Bytes>) -> Followers {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Followers { contexts: Vec::new(), since: None };
        }
        let proposals = self.proposals.lock();
        let found = commands.filter_map(|command| proposals.get(&place(command)));
        let contexts: Vec<Context> = found.map(|(_, context)| context.clone()).collect();
        let since = (!contexts.is_empty()).then(env::clock::now);
        Followers { contexts, since }
    }
}

fn place(command: &Bytes) -> usize {
    command.as_ptr() as usize
}

/// Those who follow what is being done.
pub(super) struct Followers {
    contexts: Vec<Context>,
    since: Option<Instant>,
}

impl Followers {
    /// It is done.
    pub(super) fn done(self, what: &'static str) {
        let Some(since) = self.since else { return };
        let now = env::clock::now();
        for context in self.contexts {
            context.add(what, since, now);
        }
    }
}
