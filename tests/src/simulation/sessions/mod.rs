//! The same workloads through SQL: clients with a real driver, each connected to a session of a gateway by a pipe in
//! memory, so that everything behind the socket is in the simulation.

pub(super) mod bank;
pub(super) mod branches;
pub(super) mod doors;
pub(super) mod lists;

use std::future::Future;

use env::random;
use tokio_postgres::{Client, Error};

use super::report::Failure;

/// How often a client runs a transaction again that the database asks it to.
const ATTEMPTS_MAX: u32 = 20;

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

fn any_level() -> &'static str {
    LEVELS[random::below(LEVELS.len() as u64) as usize]
}

/// Runs `work` in a transaction block that begins with `begin`.
async fn in_block<T>(
    client: &Client,
    begin: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    client.batch_execute(begin).await?;
    match work.await {
        Ok(done) => client.batch_execute("COMMIT").await.map(|()| done),
        Err(error) => {
            client.batch_execute("ROLLBACK").await?;
            Err(error)
        }
    }
}

/// What SQLSTATE says of a statement that failed.
fn judge(error: &Error) -> Failure {
    match error.code().map(|code| code.code()) {
        Some("40001" | "40P01" | "55P03") => Failure::Conflict,
        Some("08007") => Failure::Ambiguous,
        Some("57P03" | "57014") => Failure::Unavailable,
        Some("72000") => Failure::TooOld,
        _ => Failure::Unexpected(format!("{error:?}")),
    }
}

/// Runs what prepares a workload until it succeeds; run twice it must come to the same.
async fn insist<F: Future<Output = Result<(), Error>>>(mut work: impl FnMut() -> F) -> Result<(), Error> {
    loop {
        match work().await {
            Ok(()) => return Ok(()),
            Err(error) => {
                if let Failure::Unexpected(_) = judge(&error) {
                    return Err(error);
                }
            }
        }
    }
}
