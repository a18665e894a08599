//! BACKUP, RESTORE, SHOW BACKUPS, and schedules of backups.

use super::{Expr, Name, QualifiedName};

/// A statement about the backups at one place.
#[derive(Debug, Clone)]
pub struct BackupStatement {
    /// What is done.
    pub command: BackupCommand,
    /// The place; empty: it is about none.
    pub url: String,
    /// AS OF SYSTEM TIME
    pub as_of: Option<Expr>,
    /// WITH (…): options with their values.
    pub options: Vec<(Name, Option<String>)>,
}

/// What is done with backups.
#[derive(Debug, Clone)]
pub enum BackupCommand {
    /// BACKUP … INTO
    Take {
        /// Of what.
        of: BackupOf,
        /// INCREMENTAL: what has changed since the one before.
        incremental: bool,
        /// RESUME: what is missing of one that was begun.
        resume: bool,
    },
    /// RESTORE … FROM
    Restore {
        /// What.
        of: BackupOf,
        /// AS: what the database is called from now on.
        name: Option<Name>,
    },
    /// SHOW BACKUPS IN
    Show,
    /// CREATE SCHEDULE … FOR BACKUP: backups that are taken by themselves.
    Schedule {
        /// What the schedule is called.
        name: Name,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Of what.
        of: BackupOf,
        /// EVERY: a time, as it is written.
        every: Name,
        /// FULL EVERY: the same; all others are incremental.
        full_every: Option<Name>,
    },
    /// DROP SCHEDULE
    Unschedule {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
    },
    /// SHOW SCHEDULES
    ShowSchedules,
}

/// What a backup is of.
#[derive(Debug, Clone)]
pub enum BackupOf {
    /// CLUSTER
    Cluster,
    /// DATABASE
    Database(Name),
    /// TABLE
    Table(QualifiedName),
}
