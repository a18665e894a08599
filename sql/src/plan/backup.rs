//! BACKUP, RESTORE, SHOW BACKUPS, and schedules of backups: what the session is to do.

use super::Moment;

/// What is to be done with the backups at one place.
#[derive(Debug, Clone)]
pub struct BackupOrder {
    /// What.
    pub command: BackupCommand,
    /// The place.
    pub url: String,
    /// As of when.
    pub moment: Option<Moment>,
    /// The file with the key that they are sealed with.
    pub key_file: Option<String>,
}

/// What is done with backups.
#[derive(Debug, Clone)]
pub enum BackupCommand {
    /// BACKUP
    Take {
        /// Of what.
        of: BackupOf,
        /// What has changed since the one before.
        incremental: bool,
        /// What is missing of one that was begun.
        resume: bool,
        /// All versions, not the newest alone.
        history: bool,
    },
    /// RESTORE
    Restore {
        /// What.
        of: BackupOf,
        /// What the database is called from now on, if not as it was.
        name: Option<String>,
    },
    /// SHOW BACKUPS
    Show,
    /// CREATE SCHEDULE
    Schedule {
        /// What the schedule is called.
        name: String,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Of what backups are taken.
        of: BackupOf,
        /// All versions, not the newest alone.
        history: bool,
        /// How often, in ms.
        every_ms: u64,
        /// How often all is written, in ms; `None`: each time.
        full_every_ms: Option<u64>,
    },
    /// DROP SCHEDULE
    Unschedule {
        /// Which.
        name: String,
        /// IF EXISTS
        if_exists: bool,
    },
    /// SHOW SCHEDULES
    ShowSchedules,
}

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupOf {
    /// All of the cluster.
    Cluster,
    /// The database of this name.
    Database(String),
    /// A table of the session's database.
    Table {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
    },
}

impl BackupOrder {
    /// The command, as its tag names it.
    pub const fn command(&self) -> &'static str {
        match self.command {
            BackupCommand::Take { .. } => "BACKUP",
            BackupCommand::Restore { .. } => "RESTORE",
            BackupCommand::Show | BackupCommand::ShowSchedules => "SHOW",
            BackupCommand::Schedule { .. } => "CREATE SCHEDULE",
            BackupCommand::Unschedule { .. } => "DROP SCHEDULE",
        }
    }

    /// Whether it is about what is taken by itself.
    pub const fn is_about_schedules(&self) -> bool {
        matches!(
            self.command,
            BackupCommand::Schedule { .. } | BackupCommand::Unschedule { .. } | BackupCommand::ShowSchedules
        )
    }

    /// Whether it only shows what there is.
    pub const fn only_shows(&self) -> bool {
        matches!(self.command, BackupCommand::Show | BackupCommand::ShowSchedules)
    }

    /// What it is about, for the audit log.
    pub fn subject(&self) -> Option<(&'static str, String)> {
        match &self.command {
            BackupCommand::Take { of, .. }
            | BackupCommand::Restore { of, .. }
            | BackupCommand::Schedule { of, .. } => Some(match of {
                BackupOf::Cluster => ("cluster", String::new()),
                BackupOf::Database(name) => ("database", name.clone()),
                BackupOf::Table { schema, name } => ("table", format!("{schema}.{name}")),
            }),
            BackupCommand::Unschedule { name, .. } => Some(("schedule", name.clone())),
            BackupCommand::Show | BackupCommand::ShowSchedules => None,
        }
    }
}
