//! The tables of a door, which are made when it is first used: by the superuser that every cluster has, who then owns them
//! and says by GRANT who else may use them.

use std::sync::Arc;
use std::time::Duration;

use sql::{Error, Fetched, SessionParameters};
use tokio::sync::Mutex;

use crate::connection::Shared;

/// Who makes them, and where.
const OWNER: &str = "postgres";
const DATABASE: &str = "postgres";

/// How often it is tried where others change the catalog at the same time, and the pause in between.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// How long each statement may take, and all of it, the wait for others who make them included.
const STATEMENT_TIMEOUT: &str = "30s";
const PATIENCE: Duration = Duration::from_secs(60);

/// The tables of a door.
pub(crate) struct Tables {
    /// What makes them, wherever they are not there yet.
    statements: &'static [&'static str],
    /// Held by who makes them: of many clients that come at once one does.
    making: Mutex<()>,
}

impl Tables {
    pub(super) fn new(statements: &'static [&'static str]) -> Self {
        Self { statements, making: Mutex::default() }
    }

    /// Whether an error says that they are not there.
    pub(crate) fn are_missing(error: &Error) -> bool {
        matches!(error.sqlstate, "42P01" | "3F000")
    }

    /// Makes what is not there.
    ///
    /// # Errors
    /// 57014: it takes too long.
    pub(crate) async fn make(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let made = env::clock::timeout(PATIENCE, self.make_all(shared)).await;
        made.unwrap_or_else(|_elapsed| {
            Err(Error::new("57014", "the tables of the door were not made in time"))
        })
    }

    async fn make_all(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let _making = self.making.lock().await;
        for statement in self.statements {
            let mut attempt = 0;
            while let Err(error) = run(shared, statement).await {
                attempt += 1;
                // Somebody else was quicker, perhaps at another gateway: the statement finds what there is.
                let again =
                    matches!(error.sqlstate, "40001" | "40P01" | "42P06" | "42P07" | "42710" | "23505");
                if !again || attempt >= ATTEMPTS_MAX {
                    return Err(error);
                }
                env::clock::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

async fn run(shared: &Arc<Shared>, text: &str) -> Result<(), Error> {
    let parameters = SessionParameters {
        user: OWNER.to_owned(),
        database: DATABASE.to_owned(),
        settings: vec![
            ("application_name".to_owned(), "nunatak".to_owned()),
            ("statement_timeout".to_owned(), STATEMENT_TIMEOUT.to_owned()),
        ],
        ..SessionParameters::default()
    };
    let mut session = shared.engine.session(parameters)?;
    session.message_arrived();
    let outcome: Result<(), Error> = async {
        for statement in session.split(text).await? {
            let prepared = session.prepare_once(statement).await?;
            let mut portal = session.execute(&prepared, Vec::new()).await?;
            while !matches!(session.fetch(&mut portal, 0).await?, Fetched::Done(_) | Fetched::Whole(..)) {}
        }
        Ok(())
    }
    .await;
    let finished = session.finish_implicit(outcome.is_err()).await;
    session.close().await;
    outcome.and(finished)
}
