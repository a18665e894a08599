//! The certificates of a cluster: whom they name, what their owners may do, and how they are made.
//!
//! One authority signs them all. The subject's organizational unit says what a certificate is for ([`Role`]): a node, a
//! gateway, or a client, whose common name is the SQL role that it may log in as. [`Identity`] reads that back.

mod identity;
mod issue;
mod key_file;
mod watched;

pub use identity::{Identity, Unreadable};
pub use issue::{Authority, IssueError, Issued};
pub use key_file::{KeyFileError, others_can_read, read_private_key};
pub use watched::Watched;

use std::fmt;
use std::str::FromStr;

/// What a certificate is for: the organizational unit of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A storage node: it serves nodes and gateways, and SQL if it is told to.
    Node,
    /// A gateway: it serves SQL, and asks nodes.
    Gateway,
    /// A person or program that logs in as the SQL role of the common name.
    Client,
}

impl Role {
    /// The organizational unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Gateway => "gateway",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Node, Self::Gateway, Self::Client].into_iter().find(|role| role.name() == text).ok_or(())
    }
}
