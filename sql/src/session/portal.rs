//! Portals: statements under way, and what they hand out.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use client::ReadView;
use env::clock::Instant;
use expr::{Datum, Row, SessionContext};

use super::format::ColumnFormats;
use super::prepared::{OutputColumn, Planned, Prepared};
use crate::error::Result;
use crate::execute::Execution;
use crate::execute::memory::Memory;

/// A statement under way.
pub struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) parameters: Vec<Datum>,
    pub(super) deadline: Option<Instant>,
    pub(super) state: State,
    /// The plan that it runs, where that is not bound to what the client was told before.
    pub(super) undescribed: Option<Arc<Planned>>,
    /// Its rows are to be sent in binary, whatever was asked for: those of a BINARY cursor, fetched by the simple protocol.
    pub(super) is_binary: bool,
    /// The query string whose literals `parameters` are: it is bound by itself if what is prepared does not fit any more.
    pub(super) text: Option<Box<str>>,
    /// How many rows it has handed out.
    pub(super) answered: u64,
    /// How its answer goes to the client.
    pub(super) sending: Option<Sending>,
}

/// How an answer goes to a client. It is tried before a statement that is alone commits: what cannot be sent is an error of the
/// statement, which then has done nothing.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Whether the client has yet to be told the columns.
    pub describes: bool,
    /// Their formats.
    pub formats: ColumnFormats,
    /// Finds out whether columns can be told.
    pub try_columns: fn(&SessionContext, &[OutputColumn]) -> Result<()>,
    /// Finds out whether rows can be sent.
    pub try_rows: fn(&SessionContext, &[OutputColumn], &ColumnFormats, &[Row]) -> Result<()>,
}

impl Portal {
    /// What it runs.
    pub fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// Says how its answer goes to the client, before it runs.
    pub fn sent_as(&mut self, sending: Sending) {
        self.sending = Some(sending);
    }

    /// Until when it may run (`statement_timeout`).
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether its rows go to a client in binary that has not said how it wants them; settled by the first fetch.
    pub fn is_binary(&self) -> bool {
        self.is_binary
    }

    /// What sort of statement it runs.
    pub fn class(&self) -> audit::Class {
        match &self.undescribed {
            Some(planned) => planned.audited.class,
            None => self.prepared.planned.lock().audited.class,
        }
    }

    /// The columns of its rows, or `None` if it returns none; settled by the first fetch.
    pub fn columns(&self) -> Option<&[OutputColumn]> {
        match &self.undescribed {
            Some(planned) => planned.bound.columns.as_deref(),
            None => self.prepared.columns(),
        }
    }
}

/// How far a portal is.
pub(super) enum State {
    /// Nothing was done.
    Pending,
    /// A query whose rows are read as they are asked for.
    Streaming(Box<Running>),
    /// Rows that are there already, with the account that they are in, then the tag.
    Held { rows: VecDeque<Row>, tag: CommandTag, memory: Memory },
    /// FETCH: rows of a cursor, as they are asked for.
    Fetching(Fetching),
    /// COPY FROM STDIN waits for data.
    CopyIn(Box<Running>),
    /// COPY TO STDOUT under way.
    CopyOut(Box<Running>),
    /// The tag was answered, or an error.
    Finished,
}

/// What rows a FETCH answers, once the cursor is where they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// So many of those that follow.
    Forward(u64),
    /// So many of those before, the nearest first.
    Backward(u64),
    /// The one that it is on.
    Same,
}

/// A FETCH under way.
pub(super) struct Fetching {
    /// The cursor's name.
    pub(super) name: String,
    /// What is left to answer.
    pub(super) wanted: Wanted,
    pub(super) count: u64,
}

/// An execution under way, with what it holds.
pub(super) struct Running {
    pub(super) execution: Execution,
    pub(super) planned: Arc<Planned>,
    pub(super) values: Vec<Datum>,
    pub(super) memory: Memory,
    /// The transaction that it runs in, see [`super::transaction::TransactionState::generation`].
    pub(super) generation: u64,
    pub(super) ready: VecDeque<Row>,
    /// What it sees, once the transaction may go on before it comes to its end.
    pub(super) view: Option<ReadView>,
    pub(super) count: u64,
}

impl Running {
    /// An execution that begins, in the transaction of this generation.
    pub(super) fn new(
        execution: Execution,
        planned: Arc<Planned>,
        values: Vec<Datum>,
        memory: Memory,
        generation: u64,
    ) -> Box<Self> {
        let (ready, view, count) = (VecDeque::new(), None, 0);
        Box::new(Self { execution, planned, values, memory, generation, ready, view, count })
    }
}

/// One answer of [`super::Session::fetch`].
#[derive(Debug)]
pub enum Fetched {
    /// Rows, at most as many as were asked for. More may follow.
    Rows(Vec<Row>),
    /// All rows, one at most, and the statement is done.
    Whole(Option<Row>, CommandTag),
    /// The statement is done.
    Done(CommandTag),
    /// COPY FROM STDIN: the client is to send data now ([`super::Session::copy_data`]).
    CopyIn(CopyHeader),
    /// COPY TO STDOUT: the header, once, before any data.
    CopyOutStart(CopyHeader),
    /// COPY TO STDOUT: bytes for one CopyData message.
    CopyOut(Bytes),
    /// The statement was empty: EmptyQueryResponse.
    EmptyQuery,
}

/// What CopyInResponse and CopyOutResponse say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyHeader {
    /// The format of all columns.
    pub format: CopyFormat,
    /// How many columns.
    pub columns: usize,
}

/// Formats of COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text format.
    Text,
    /// Comma separated values: text as far as the protocol is concerned.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// CommandComplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandTag {
    /// A tag without a count, such as `BEGIN` or `CREATE TABLE`.
    Plain(&'static str),
    /// `INSERT 0 n`
    Insert(u64),
    /// `UPDATE n`
    Update(u64),
    /// `DELETE n`
    Delete(u64),
    /// `MERGE n`
    Merge(u64),
    /// `SELECT n`
    Select(u64),
    /// `COPY n`
    Copy(u64),
    /// `FETCH n`
    Fetch(u64),
    /// `MOVE n`
    Move(u64),
}

impl CommandTag {
    /// How many rows it tells of.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::Insert(rows)
            | Self::Update(rows)
            | Self::Delete(rows)
            | Self::Merge(rows)
            | Self::Select(rows)
            | Self::Copy(rows)
            | Self::Fetch(rows)
            | Self::Move(rows) => *rows,
        }
    }
}

impl std::fmt::Display for CommandTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(tag) => f.write_str(tag),
            Self::Insert(rows) => write!(f, "INSERT 0 {rows}"),
            Self::Update(rows) => write!(f, "UPDATE {rows}"),
            Self::Delete(rows) => write!(f, "DELETE {rows}"),
            Self::Merge(rows) => write!(f, "MERGE {rows}"),
            Self::Select(rows) => write!(f, "SELECT {rows}"),
            Self::Copy(rows) => write!(f, "COPY {rows}"),
            Self::Fetch(rows) => write!(f, "FETCH {rows}"),
            Self::Move(rows) => write!(f, "MOVE {rows}"),
        }
    }
}
