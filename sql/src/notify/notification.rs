//! One notification.

use std::sync::Arc;

/// What it takes beside its texts.
const REST_BYTES: usize = 64;

/// A notification on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The channel.
    pub channel: Arc<str>,
    /// What it says; may be empty.
    pub payload: Arc<str>,
    /// The number of the session that sent it.
    pub pid: i32,
}

/// A session that notifies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker {
    /// Its number.
    pub(crate) pid: i32,
    /// Its database: others do not hear it.
    pub(crate) database: u32,
}

impl Notification {
    /// About how many bytes one of these texts takes, wherever it is kept.
    pub(crate) fn bytes_of(channel: &str, payload: &str) -> usize {
        channel.len().saturating_add(payload.len()).saturating_add(REST_BYTES)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        Self::bytes_of(&self.channel, &self.payload)
    }
}
