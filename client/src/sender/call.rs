//! What kind of request is sent, and why one was not carried out.

use std::time::Duration;

use bytes::Bytes;
use proto::{Code, Status};

use crate::Error;

/// What it means that nobody has answered a request, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It may be sent again, as often as one likes; the range does not let it wait for other transactions.
    Read,
    /// The same, but it waits as long as others hold what it wants. The time that it waits at a leader that serves
    /// does not count.
    Wait,
    /// It may have been carried out. It may be sent again, because the range recognises it.
    Commit {
        /// How large it is.
        bytes: usize,
    },
}

impl Kind {
    /// How long the request's bytes may be on their way to a range's leader and from there to the other replicas: 8 Mbit/s
    /// each.
    pub(super) fn transfer(self) -> Duration {
        match self {
            Self::Commit { bytes } => Duration::from_micros(bytes as u64 * 2),
            Self::Read | Self::Wait => Duration::ZERO,
        }
    }
}

/// What the header of a request says about its transaction, and how long it may take.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) txn_id: Bytes,
    pub(crate) start_timestamp: u64,
    /// Reads see the intents that it has flushed.
    pub(crate) sees_intents: bool,
    pub(crate) priority: u64,
    pub(crate) catalog_version: u64,
    /// How long the cluster may be unreachable; what its bytes take comes on top of that.
    pub(crate) timeout: Duration,
    pub(crate) kind: Kind,
    /// It reads what has been closed, as far as one can tell: whoever is nearest may answer.
    pub(crate) from_follower: bool,
}

impl Call {
    /// Of a request that no transaction makes.
    pub(crate) fn of_nobody(timeout: Duration) -> Self {
        Self {
            txn_id: Bytes::new(),
            start_timestamp: 0,
            sees_intents: false,
            priority: 0,
            catalog_version: 0,
            timeout,
            kind: Kind::Read,
            from_follower: false,
        }
    }
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The range's bounds have changed: what was asked for has to be divided anew.
    Rerouted,
    /// A check failed.
    Conflict {
        key: Bytes,
        /// A sending before this answer may have arrived, too, and may still be carried out unless the check that
        /// failed keeps it from it.
        ambiguous: bool,
    },
    /// It cannot be committed at the timestamp that was asked for, then or ever.
    Pushed,
    /// Somebody has rolled the attempt back.
    Aborted,
    /// The leader could not take a timestamp for a request that carries none.
    NoTimestamp,
    /// Anything else.
    Error(Error),
}

impl Failure {
    /// What it comes to for who can do nothing about it.
    pub(crate) fn into_error(self) -> Error {
        let unavailable = |message: &str| Error::Unavailable { message: message.to_owned(), source: None };
        match self {
            Self::Rerouted => unavailable("the ranges keep moving"),
            Self::Conflict { key, .. } => Error::Serialization { key },
            Self::Pushed | Self::Aborted => Error::Serialization { key: Bytes::new() },
            Self::NoTimestamp => unavailable("the range's leader gets no timestamp"),
            Self::Error(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The error to give up with at once, if trying again is senseless; the request was not carried out.
pub(crate) fn definite(status: &Status) -> Option<Error> {
    let message = || status.message().to_owned();
    match status.code() {
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::NotFound => {
            Some(Error::Invalid { message: message() })
        }
        Code::Unimplemented => Some(Error::Unsupported { message: message() }),
        Code::OutOfRange => {
            Some(Error::TooLarge { bytes: 0, bytes_max: proto::grpc::MESSAGE_BYTES_MAX as u64 })
        }
        _ => None,
    }
}
