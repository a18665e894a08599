//! Where a call works.

use std::sync::Arc;

use env::trace::Parent;

use super::transactions::Held;
use crate::door::{Caller, Guest, Work};

/// Who calls, as far as the call is concerned.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) guest: Arc<Guest>,
    /// The client's span that it is under, if it says so.
    pub(super) parent: Option<Parent>,
}

/// Where a call works: in a session of its own, or in a transaction that was begun.
pub(super) enum Place {
    Alone(Call, Work),
    Within(Held),
}

impl Place {
    pub(super) fn work(&mut self) -> &mut Work {
        match self {
            Self::Alone(_, work) => work,
            Self::Within(held) => &mut held.work,
        }
    }

    /// Lets the next call work there.
    pub(super) fn give_back(self) {
        match self {
            Self::Alone(call, work) => call.caller.give_back(call.guest, work),
            Self::Within(held) => held.give_back(),
        }
    }
}
