//! COPY: rows from and to the client, in PostgreSQL's text and binary formats and as CSV.

mod from;
mod lines;
mod to;
mod tuples;

pub(crate) use from::CopyFromExecution;
pub(crate) use to::CopyToExecution;
