//! Tests of SQL over a cluster in the process of the test: scripts whose answers PostgreSQL 15 recorded, random queries beside it,
//! sessions and what they wait for, bounds.

mod activity;
mod bulk;
mod cluster_settings;
mod conversations;
mod databases;
mod differential;
mod encodings;
mod indexes;
mod key_changes;
mod locking;
mod plans;
mod points;
mod queues;
mod row_security;
mod sequences;
mod sessions;
mod spilling;
mod sql;
mod temporary;
mod waiting;
