//! The PostgreSQL wire protocol in front of SQL sessions.
//!
//! A [`Gateway`] listens, and its [`Sessions`] give each client a task. The task (`connection`) reads messages
//! (`pgwire`), drives one [`sql::Session`] with them and writes the answers, one write for each series of messages. What
//! a task shares with the others is little: the engine, the table of sessions that cancel requests are looked up in
//! (`registry`), and the phase of the gateway's life.
//!
//! Every client is trusted: nobody is asked for a password, and connections are not encrypted. So a gateway listens
//! on loopback unless told otherwise, and says so in its log when it does not.

mod connection;
mod gateway;
mod metrics;
mod options;
mod pgwire;
mod registry;

pub use gateway::{Gateway, Sessions};
pub use options::GatewayOptions;
