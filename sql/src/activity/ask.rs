//! What functions ask of other sessions, or want done to them.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use client::gateways::SessionInfo;
use env::clock;
use expr::Datum;

use super::roster::{Everyone, Roster};
use crate::catalog::access::{Access, PG_SIGNAL_BACKEND_OID, Powers};
use crate::catalog::{CatalogSnapshot, Oid};
use crate::error::{Error, Notice, Result};

/// How often it is looked whether a session has ended.
const LOOKS: Duration = Duration::from_millis(50);

/// What a function asks.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// pg_cancel_backend
    Cancel(i32),
    /// pg_terminate_backend, and for how many milliseconds to wait for it.
    Terminate(i32, i64),
    /// pg_blocking_pids
    BlockingPids(i32),
    /// pg_stat_statements_reset
    ResetStatements,
    /// pg_stat_reset; pg_stat_reset_single_table_counters of this table or index
    ResetUsage(Option<Oid>),
}

/// Who asks, and where.
pub(crate) struct Asking<'a> {
    /// The sessions of this gateway.
    pub(crate) roster: &'a Arc<Roster>,
    /// The cluster.
    pub(crate) client: &'a Client,
    /// Roles and rights.
    pub(crate) catalog: &'a CatalogSnapshot,
    /// The acting role.
    pub(crate) user: &'a str,
}

impl Asking<'_> {
    /// The answer, and what the client is to be warned of.
    ///
    /// # Errors
    /// 42501, or the cluster cannot be asked.
    pub(crate) async fn answer(&self, question: &Question) -> Result<(Datum, Option<Notice>)> {
        match question {
            Question::BlockingPids(pid) => {
                let everyone = self.roster.everyone(self.client).await?;
                let pids = everyone.session(*pid).map(|session| everyone.blocking_pids(session));
                let pids: Vec<Datum> = pids.unwrap_or_default().into_iter().map(Datum::Int4).collect();
                Ok((Datum::Array(pids.into()), None))
            }
            Question::Cancel(pid) => self.signal(*pid, None).await,
            Question::Terminate(_, timeout_ms) if *timeout_ms < 0 => {
                Err(Error::new("22003", "\"timeout\" must not be negative"))
            }
            Question::Terminate(pid, timeout_ms) => self.signal(*pid, Some(*timeout_ms)).await,
            Question::ResetStatements => {
                self.check_superuser("pg_stat_statements_reset")?;
                self.roster.all_statements(self.client, true).await?;
                Ok((Datum::text(""), None))
            }
            Question::ResetUsage(of) => {
                self.check_superuser(match of {
                    None => "pg_stat_reset",
                    Some(_) => "pg_stat_reset_single_table_counters",
                })?;
                self.roster.forget_usage(self.client, self.catalog.database_oid(), *of).await?;
                Ok((Datum::text(""), None))
            }
        }
    }

    /// 42501 unless the acting role is a superuser.
    fn check_superuser(&self, function: &str) -> Result<()> {
        if self.acting().is_some_and(|acting| acting.is_superuser) {
            return Ok(());
        }
        Err(Error::new("42501", format!("permission denied for function {function}")))
    }

    /// Cancels what a session runs, or ends it and waits for so many milliseconds.
    async fn signal(&self, pid: i32, terminate: Option<i64>) -> Result<(Datum, Option<Notice>)> {
        let gone = || {
            let message = format!("PID {pid} is not a PostgreSQL backend process");
            Ok((Datum::Bool(false), Some(Notice::warning("01000", message))))
        };
        let everyone = self.roster.everyone(self.client).await?;
        let Some(session) = everyone.session(pid) else { return gone() };
        check_signal(self.catalog.access(), self.acting().as_ref(), session, terminate.is_some())?;
        if !self.roster.signal(self.client, session, terminate.is_some()).await? {
            return gone();
        }
        let Some(timeout_ms) = terminate.filter(|timeout_ms| *timeout_ms > 0) else {
            return Ok((Datum::Bool(true), None));
        };
        let until = clock::now() + Duration::from_millis(timeout_ms.unsigned_abs());
        while clock::now() < until {
            if !is_there(&self.roster.everyone(self.client).await?, session) {
                return Ok((Datum::Bool(true), None));
            }
            clock::sleep(LOOKS).await;
        }
        let message = format!("backend with PID {pid} did not terminate within {timeout_ms} milliseconds");
        Ok((Datum::Bool(false), Some(Notice::warning("01000", message))))
    }

    fn acting(&self) -> Option<Powers> {
        let access = self.catalog.access();
        access.role_named(self.user).map(|role| access.powers(role.oid))
    }
}

/// 42501 unless it is the acting role's, or that may end others' work; a superuser's nobody else may end.
pub(crate) fn check_signal(
    access: &Access,
    acting: Option<&Powers>,
    session: &SessionInfo,
    terminate: bool,
) -> Result<()> {
    if acting.is_some_and(|acting| acting.is_superuser) {
        return Ok(());
    }
    let target = access.role_named(&session.user);
    let denied = |message: &str| Err(Error::new("42501", message));
    if target.is_some_and(|target| target.superuser) {
        return denied(match terminate {
            false => "must be a superuser to cancel superuser query",
            true => "must be a superuser to terminate superuser process",
        });
    }
    let may = acting.is_some_and(|acting| {
        acting.has(PG_SIGNAL_BACKEND_OID) || target.is_some_and(|target| acting.has(target.oid))
    });
    if may {
        return Ok(());
    }
    denied(match terminate {
        false => "must be a member of the role whose query is being canceled or member of pg_signal_backend",
        true => {
            "must be a member of the role whose process is being terminated or member of pg_signal_backend"
        }
    })
}

fn is_there(everyone: &Everyone, session: &SessionInfo) -> bool {
    everyone.session(session.pid).is_some_and(|other| other.started_us == session.started_us)
}
