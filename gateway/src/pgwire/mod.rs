//! The PostgreSQL protocol 3.0 on the wire: frames in, messages out. No other module names the crate `pgwire`.
//!
//! A connection is a [`Wire`]: it reads bounded frames and buffers what is to be sent. [`startup`] decodes the packets
//! before a session exists, [`sasl`] the answers by which a client proves its password, [`frontend`] what comes after, [`backend`] encodes the answers.
//!
//! What is taken from the crate `pgwire` is its backend messages and their encoding. Its server loop sends each message
//! on its own, and its decoders read past the end of a message that is shorter than its own counts and replace bytes
//! that are not UTF-8; a server must refuse both, so the decoders here are our own and borrow from the frame.
//!
//! ```text
//! startup packet:  length u32 │ code u32 │ body          (length counts itself, at most 10 000)
//! message:         kind u8 │ length u32 │ body           (length counts itself, bounded by its kind)
//! ```

pub(crate) mod backend;
pub(crate) mod frontend;
pub(crate) mod sasl;
pub(crate) mod startup;
pub(crate) mod wire;

pub(crate) use wire::{Frame, Wire};

/// What is wrong with what a client sent or with the connection to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolError {
    /// The bytes are no message; where the next one starts is unknown, so that the connection ends.
    #[error("{message}")]
    Violation {
        /// What is wrong, for the client.
        message: String,
    },
    /// A message that is longer than one may be; the connection ends.
    #[error("{message}")]
    TooLong {
        /// What is too long and how long it may be, for the client.
        message: String,
    },
    /// A message with its frame intact but a broken body. An error for the client; the connection goes on.
    #[error("{message}")]
    Malformed {
        /// SQLSTATE
        sqlstate: &'static str,
        /// What is wrong, for the client.
        message: String,
    },
    /// The client is gone.
    #[error("connection closed by the client")]
    Closed,
    /// The TLS handshake failed: nothing can be said to the client any more.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] std::io::Error),
    /// The socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
}

impl ProtocolError {
    pub(crate) fn violation(message: impl Into<String>) -> Self {
        Self::Violation { message: message.into() }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed { sqlstate: "08P01", message: message.into() }
    }

    /// As PostgreSQL words it: the first bytes that are not UTF-8.
    pub(crate) fn encoding(bytes: &[u8], error: std::str::Utf8Error) -> Self {
        let rest = bytes.get(error.valid_up_to()..).unwrap_or_default();
        // As many as its first byte says that the character has.
        let count = match rest.first() {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        let bad = rest.get(..rest.len().min(count)).unwrap_or_default();
        let shown: Vec<String> = bad.iter().map(|byte| format!("0x{byte:02x}")).collect();
        Self::Malformed {
            sqlstate: "22021",
            message: format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        }
    }
}
