//! Tests of servers in processes of their own: the real binary, alone and as a cluster, with its real ports, disks and signals.
//!
//! One binary holds them all: each more links the whole database once more.

mod audit;
mod check_config;
mod colocated;
mod commands;
mod divisions;
mod extremes;
mod failover;
mod full_disk;
mod garbage;
mod heavy_statements;
mod hot_row;
mod key_values;
mod kill;
mod lsm_commands;
mod members;
mod node_port;
mod notifications;
mod objects;
mod partitions;
mod pgbench;
mod protocol;
mod psql;
mod reflection;
mod security;
mod shell;
mod slow_links;
mod temporary;
mod unsafe_recover;
mod wrong_input;
