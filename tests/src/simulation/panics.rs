//! Panics of tasks: tokio catches them, a run must not.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Watches this thread until it is asked.
pub(super) struct Watch(());

/// From now on panics on this thread are noted.
pub(super) fn watch() -> Watch {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.with_borrow_mut(|seen| {
                if let Some(seen) = seen {
                    seen.push(info.to_string());
                }
            });
            before(info);
        }));
    });
    SEEN.set(Some(Vec::new()));
    Watch(())
}

impl Watch {
    /// What was noted since.
    pub(super) fn seen(self) -> Vec<String> {
        SEEN.take().unwrap_or_default()
    }
}
