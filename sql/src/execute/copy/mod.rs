//! COPY: rows from and to the client, in PostgreSQL's text format and as CSV.

mod from;
mod lines;
mod to;

pub(crate) use from::CopyFromExecution;
pub(crate) use to::CopyToExecution;
