//! One module per command: its flags and what it does.

pub(crate) mod admin;
pub(crate) mod backup;
pub(crate) mod cert;
pub(crate) mod check_config;
pub(crate) mod demo;
pub(crate) mod drift;
pub(crate) mod gateway;
pub(crate) mod init;
pub(crate) mod kv;
pub(crate) mod lsm;
pub(crate) mod manual;
pub(crate) mod node;
pub(crate) mod password;
mod refusal;
pub(crate) mod sql;
pub(crate) mod start_single;

/// The address of SQL unless told otherwise.
pub(crate) const SQL_ADDRESS: &str = "127.0.0.1:5433";

/// The address of nodes unless told otherwise.
pub(crate) const NODE_ADDRESS: &str = "127.0.0.1:26257";
