//! Portals: statements under way, and what they hand out.

use bytes::Bytes;
use expr::datum::Row;

/// A statement under way.
pub struct Portal {
    _private: (),
}

/// One answer of [`super::Session::fetch`].
#[derive(Debug)]
pub enum Fetched {
    /// Rows, at most as many as were asked for. More may follow.
    Rows(Vec<Row>),
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
    /// `SELECT n`
    Select(u64),
    /// `COPY n`
    Copy(u64),
}

impl std::fmt::Display for CommandTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(tag) => f.write_str(tag),
            Self::Insert(rows) => write!(f, "INSERT 0 {rows}"),
            Self::Update(rows) => write!(f, "UPDATE {rows}"),
            Self::Delete(rows) => write!(f, "DELETE {rows}"),
            Self::Select(rows) => write!(f, "SELECT {rows}"),
            Self::Copy(rows) => write!(f, "COPY {rows}"),
        }
    }
}
