//! SQL: parse, bind, plan, execute.
//!
//! The life of a statement:
//!
//! 1. The gateway hands a client's query string to [`Session::split`]; [`parse`] makes a syntax tree of each statement,
//!    of exactly what is understood: everything else is an error that names it. A string that has come before goes from
//!    [`Session::recall`] to step 4: its plan is there, whatever its literals are now.
//! 2. [`Session::prepare`] binds it under the [`catalog`] that the gateway has cached: names become columns, literals get
//!    types, operators become functions. The result is a typed [`plan`], free of names, which [`optimise`] makes quick.
//! 3. [`Session::execute`] opens a [`Portal`] over the plan and the parameters' values.
//! 4. [`Session::fetch`] opens a transaction, unless the session has one, and pins the catalog version in it: every
//!    request says under which schema it was planned, and a range where another is in force refuses it. Then the
//!    statement is planned and run again.
//! 5. [`execute`] pulls rows in batches through operators whose leaves read pages or single rows by key from the
//!    transaction ([`client::Transaction`]), which merges what it has written itself. Reads of the system views come from
//!    [`system`], which makes them up from the catalog. A statement over one row named by its key bypasses the operators:
//!    one request, and [`Fetched::Whole`] answers row and tag at once.
//! 6. INSERT, UPDATE, DELETE and COPY lock the keys that they are about to write, which reads their newest values, check
//!    constraints, and put rows and index entries into the transaction's buffer. DDL writes the catalog's rows in the
//!    same way, and raises the catalog version.
//! 7. A statement by itself commits before its tag is answered; in a block, COMMIT does. After a conflict a
//!    transaction's first statement is run again if the client has seen nothing of it.
//! 8. What went wrong is an [`Error`] with PostgreSQL's SQLSTATE, from one table in [`error`].
//!
//! What sessions tell each other, whichever gateway they are at, goes through [`notify`]. Temporary tables are a session's
//! own: it puts them beside the catalog of step 2, and [`keeper`] sees that their room is given back.
//!
//! Settings, their scopes and their undoing are in [`settings`]; what a client holds is all in its [`Session`].

mod activity;
pub mod bind;
pub mod catalog;
pub mod error;
pub mod execute;
mod keeper;
mod logical;
mod moment;
mod notify;
pub mod optimise;
pub mod parse;
pub mod plan;
mod questions;
mod sequence;
pub mod session;
pub mod settings;
mod statistics;
pub mod system;

pub use error::{Error, Notice, ObjectNames, Report, Result, Severity};
pub use notify::{Mailbox, Notification};
pub use plan::STACK_BYTES;
pub use session::{
    BoundPortal, CancelHandle, ColumnFormats, CommandTag, CopyFormat, CopyHeader, DatabaseMeant, Engine,
    EngineOptions, Fetched, Format, Login, OutputColumn, Portal, PortalState, Prepared, RunOutcome, Sending,
    Session, SessionParameters, Source, Statement, StatementKind, TemporaryOptions, TransactionStatus,
    WatchedTable,
};
pub use settings::{GatewayBounds, SessionLimits};
