//! The PostgreSQL wire protocol in front of SQL sessions, and other doors to the same data.
//!
//! A [`Gateway`] listens, and its [`Sessions`] give each client a task. The task (`connection`) reads messages
//! (`pgwire`), drives one [`sql::Session`] with them and writes the answers, one write for each series of messages. What
//! a task shares with the others is little: the engine, the table of sessions that cancel requests are looked up in
//! (`registry`), and the phase of the gateway's life.
//!
//! Beside it may stand the object protocol (`objects`) and the key-value service (`kv`): what they share, says `door`.
//!
//! Who may connect from where, and what they have to show for it, say the rules in [`access`]; [`tls`] encrypts what is
//! said. A gateway without rules believes everybody: that is for tests, and for whoever embeds one.

mod access;
mod connection;
mod door;
mod gateway;
mod kv;
mod metrics;
mod objects;
mod options;
mod pgwire;
mod registry;
mod tls;

pub use access::{AccessRules, Exposure, RuleError};
pub use gateway::{Gateway, Sessions};
pub use options::GatewayOptions;
pub use tls::{ServerTls, TlsError, TlsFiles};
