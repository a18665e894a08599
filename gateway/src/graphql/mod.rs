//! GraphQL over HTTP: the tables of the database `postgres`, as the role sees them that asks.
//!
//! ```text
//! exchange (origin) ──▶ operation: request, document (lexer) ──▶ select (given), under the schema of the role ──▶ run
//!     schema: catalog ──▶ model (naming) ──▶ build (table_types, describe)                                     │
//!     run ──▶ load: one statement for each level (statement, cursor, scalar) ──▶ tell (answer) ──────────────◀─┘
//!     socket (frames, messages): operations, and subscriptions ──▶ feed: a table that is followed ──▶ load, for what has changed
//! ```
//!
//! The connections that requests come over are `http`'s. What may be asked, and how it is answered, stands in `docs/doors.md`. A request
//! is one session's work, and one transaction, whatever it selects; the schema follows the catalog.

mod answer;
mod build;
mod catalog;
mod cursor;
mod describe;
mod document;
mod exchange;
mod feed;
mod frames;
mod given;
mod holdings;
mod lexer;
mod load;
mod messages;
mod model;
mod naming;
mod operation;
mod origin;
mod refusal;
mod request;
mod run;
mod scalar;
mod schema;
mod select;
mod socket;
mod statement;
mod table_types;
mod tell;
mod uses;

pub(crate) use exchange::{Answer, Exchange, PATH, plain};
pub(crate) use holdings::GraphQl;
