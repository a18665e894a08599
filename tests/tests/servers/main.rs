//! Tests of servers in processes of their own: the real binary, alone and as a cluster, with its real ports, disks and signals.
//!
//! One binary holds them all: each more links the whole database once more.

mod asleep;
mod attacks;
mod audit;
mod backups;
mod buckets;
mod check_config;
mod colocated;
mod commands;
mod divisions;
mod door_noise;
mod drift;
mod extremes;
mod failover;
mod followers;
mod full_disk;
mod garbage;
mod graphql;
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
mod rights;
mod security;
mod shell;
mod slow_links;
mod subscriptions;
mod temporary;
mod traces;
mod unsafe_recover;
mod watching;
mod wrong_input;
