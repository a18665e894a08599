//! Tests of SQL over a cluster in the process of the test: scripts whose answers PostgreSQL 15 recorded, random queries beside it,
//! sessions and what they wait for, bounds.

mod activity;
mod backups;
mod bulk;
mod clone_backups;
mod clones;
mod cluster_settings;
mod composites;
mod conversations;
mod copy_formats;
mod databases;
mod differential;
mod drift;
mod encodings;
mod erasing;
mod explaining;
mod flashback;
mod functions;
mod history;
mod indexes;
mod key_changes;
mod limits;
mod locking;
mod made_ranges;
mod plans;
mod points;
mod queues;
mod row_security;
mod sequences;
mod sessions;
mod spilling;
mod sql;
mod temporary;
mod usage;
mod vectors;
mod waiting;
