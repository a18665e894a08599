//! SQL: parse, bind, plan, execute.

pub mod catalog;
pub mod error;
pub mod parse;
pub mod plan;
pub mod session;

pub use error::{Error, Notice, ObjectNames, Report, Result, Severity};
pub use session::{
    CancelHandle, CommandTag, CopyFormat, CopyHeader, Engine, EngineOptions, Fetched, OutputColumn, Portal,
    Prepared, Session, SessionParameters, Statement, StatementKind, TransactionStatus,
};
