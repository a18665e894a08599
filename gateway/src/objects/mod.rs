//! The object protocol: objects under keys, linked with each other, over TCP.
//!
//! ```text
//! connection ──▶ request (frames, commands) ──▶ store (one transaction) ──▶ objects.objects (key text, value jsonb)
//!                        │ object (bytes)              │ links (what is followed), stored (objects as jsonb)
//! ```
//!
//! What a client says and is answered, byte by byte, stands in `docs/doors.md`, [`request`] and [`object`].

mod connection;
mod links;
mod object;
mod request;
mod room;
mod store;
mod stored;

pub(crate) use connection::{Objects, serve};
