//! The object protocol: objects under keys, linked with each other, over TCP.
//!
//! ```text
//! connection ──▶ request (lengths, commands, zstd) ──▶ store (one transaction) ──▶ objects.objects (key text, value jsonb)
//!                        │ object (bytes)              │ links (what is followed), stored (objects as jsonb), watch (what changes)
//! ```
//!
//! What a client says and is answered, byte by byte, stands in `docs/doors.md`, [`request`] and [`object`].

mod connection;
mod links;
mod object;
mod request;
mod store;
mod stored;
mod watch;
mod wire;
mod zstd;

pub(crate) use connection::{Objects, serve, serve_pipe};
