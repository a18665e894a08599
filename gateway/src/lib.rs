//! The PostgreSQL wire protocol in front of SQL sessions, and other doors to the same data.
//!
//! A [`Gateway`] listens, and its [`Sessions`] give each client a task. The task (`connection`) reads messages
//! (`pgwire`), drives one [`sql::Session`] with them and writes the answers, one write for each series of messages. What
//! a task shares with the others is little: the engine, the table of sessions that cancel requests are looked up in
//! (`registry`), and the phase of the gateway's life.
//!
//! Beside it may stand the object protocol (`objects`), the key-value service (`kv`) and GraphQL (`graphql`, at ports of `http`): what they share,
//! says `door`.
//!
//! How much whom is let do in a second is in `limits`, and what happens where all together ask for more than can be done in
//! `admission`; both stand before every statement, whichever door it comes by (`turn`).
//!
//! Who may connect from where, and what they have to show for it, say the rules in [`access`]; [`tls`] encrypts what is
//! said. A gateway without rules believes everybody: that is for tests, and for whoever embeds one.

// Calls of gRPC within spans within limits are futures within futures.
#![recursion_limit = "256"]

mod access;
mod admission;
mod connection;
mod door;
mod gateway;
mod graphql;
mod http;
mod kv;
mod limits;
mod metrics;
mod objects;
mod options;
mod pgwire;
mod registry;
mod tls;
mod turn;

pub use access::{AccessRules, Exposure, RuleError};
pub use gateway::{Gateway, Sessions};
pub use http::{HttpPort, Page, Pages};
pub use kv::KvService;
pub use options::GatewayOptions;
pub use tls::{ServerTls, TlsError, TlsFiles};
