//! The command line: flags over environment variables over the configuration file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::command::{
    admin, backup, cert, check_config, demo, drift, gateway, init, kv, lsm, manual, node, password, sql,
    start_single,
};

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Read settings from this TOML file; flags and variables go before it
    #[arg(long, global = true, env = "NUNATAK_CONFIG", value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,

    /// How log lines look
    #[arg(long, global = true, env = "NUNATAK_LOG_FORMAT", value_name = "FORMAT", default_value = "human")]
    #[arg(help_heading = "Settings")]
    pub(crate) log_format: LogFormat,

    /// What is logged: off, error, warn, info, debug, trace, or directives such as info,nunatak_node=debug
    /// [default: info for servers, warn for tools]
    #[arg(long, global = true, env = "NUNATAK_LOG", value_name = "FILTER", help_heading = "Settings")]
    pub(crate) log: Option<String>,

    /// Append what is audited to this file, one JSON object per line: failed logins, changes of roles and rights, and what
    /// nunatak.audit and tables ask for; "-" is standard output [default: it stands in the log]
    #[arg(long, global = true, env = "NUNATAK_AUDIT_LOG", value_name = "FILE", help_heading = "Settings")]
    pub(crate) audit_log: Option<PathBuf>,

    /// What becomes of statements whose records --audit-log cannot take
    #[arg(long, global = true, env = "NUNATAK_AUDIT_FULL", value_name = "POLICY", default_value = "wait")]
    #[arg(help_heading = "Settings")]
    pub(crate) audit_full: AuditFull,

    /// Send traces to the OpenTelemetry collector here, by OTLP over gRPC: http://HOST:PORT. Which statements are traced say the
    /// settings trace, trace_ratio and trace_min_duration, and clients [default: none are]
    #[arg(
        long,
        global = true,
        env = "NUNATAK_TRACE_ENDPOINT",
        value_name = "URL",
        help_heading = "Settings"
    )]
    pub(crate) trace_endpoint: Option<String>,
}

/// What becomes of statements whose records cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFull {
    /// They wait, for 5 s at most, and are refused then
    Wait,
    /// They go on, and the records are lost and counted
    Drop,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object per line
    Json,
}

/// A distributed SQL database that speaks PostgreSQL.
///
/// Try it: `nunatak demo` starts three nodes in this process and opens a shell.
/// One durable node: `nunatak start-single --data DIR`. A cluster: start `nunatak node` three times, `nunatak init` once,
/// then as many `nunatak gateway` as you like (or nodes with --sql), and connect to any of them with psql.
#[derive(Debug, Parser)]
#[command(
    name = "nunatak",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Every flag can also be set by its NUNATAK_… variable (named in each command's help) and in the \
    TOML file given by --config.\nExit status: 0 success, 1 failure, 2 a wrong flag, key, address or directory."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands; each explains itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    StartSingle(start_single::StartSingle),
    Node(node::Node),
    Init(init::Init),
    Gateway(gateway::Gateway),
    Sql(sql::Sql),
    Kv(kv::Kv),
    Admin(admin::Admin),
    Cert(cert::Cert),
    GenPasswordHash(password::GenPasswordHash),
    Backup(backup::Backup),
    Drift(drift::Drift),
    Lsm(lsm::Lsm),
    CheckConfig(check_config::CheckConfig),
    Completions(manual::Completions),
    Man(manual::Man),
}

impl Command {
    /// Whether clients' statements run in this process.
    pub(crate) fn serves_sql(&self) -> bool {
        match self {
            Self::StartSingle(_) | Self::Demo(_) | Self::Gateway(_) => true,
            Self::Node(node) => node.sql.is_some(),
            Self::Drift(drift) => drift.is_embedded(),
            Self::Init(_)
            | Self::Sql(_)
            | Self::Kv(_)
            | Self::Admin(_)
            | Self::Cert(_)
            | Self::GenPasswordHash(_)
            | Self::Backup(_)
            | Self::Lsm(_)
            | Self::CheckConfig(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }

    /// Where a process that serves does so; `None`: it serves nothing.
    pub(crate) fn serves_at(&self) -> Option<String> {
        match self {
            Self::StartSingle(start) => Some(start.listen.to_string()),
            Self::Demo(demo) => Some(demo.listen.to_string()),
            Self::Gateway(gateway) => Some(gateway.listen.to_string()),
            Self::Node(node) => Some(node.advertise.as_ref().unwrap_or(&node.listen).to_string()),
            Self::Init(_)
            | Self::Sql(_)
            | Self::Kv(_)
            | Self::Admin(_)
            | Self::Cert(_)
            | Self::GenPasswordHash(_)
            | Self::Backup(_)
            | Self::Drift(_)
            | Self::Lsm(_)
            | Self::CheckConfig(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }

    /// What is logged unless told otherwise.
    pub(crate) fn default_log(&self) -> &'static str {
        match self {
            Self::StartSingle(_) | Self::Node(_) | Self::Gateway(_) => "info",
            Self::Demo(_)
            | Self::Init(_)
            | Self::Sql(_)
            | Self::Kv(_)
            | Self::Admin(_)
            | Self::Cert(_)
            | Self::GenPasswordHash(_)
            | Self::Backup(_)
            | Self::Drift(_)
            | Self::Lsm(_)
            | Self::CheckConfig(_)
            | Self::Completions(_)
            | Self::Man(_) => "warn",
        }
    }
}
