//! LISTEN, NOTIFY, UNLISTEN.

/// What a session does about notifications.
#[derive(Debug, Clone)]
pub enum Notifying {
    /// LISTEN
    Listen(String),
    /// NOTIFY
    Notify {
        /// The channel.
        channel: String,
        /// What to say; empty if it is nothing.
        payload: String,
    },
    /// UNLISTEN; * is `None`.
    Unlisten(Option<String>),
}
