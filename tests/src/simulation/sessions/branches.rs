//! Branches of the bank's accounts: each is a clone of what they were at a moment of the past, is changed, goes back by FLASHBACK, and is
//! dropped. Nobody else knows of it, so what it holds is known at each step, by its table and by its index.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env::random;
use tokio_postgres::{Client, Error};

use super::super::gateway::Gateway;
use super::super::report::Tally;
use super::super::scenario::Scenario;
use super::super::signals::Signals;
use super::bank::pairs;
use super::{insist, judge};

/// What is written between two steps says when that was, exactly.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS marks (number bigint PRIMARY KEY)";

/// See the module.
pub(in super::super) struct Branches {
    pause_ms_max: u64,
    tally: Tally,
    made: AtomicU64,
}

impl Branches {
    pub(in super::super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        Self { pause_ms_max: scenario.pause_ms_max, tally, made: AtomicU64::new(1) }
    }

    /// Makes what branches need.
    pub(in super::super) async fn open(&self, gateway: &Gateway) -> Vec<String> {
        let client = gateway.connect().await;
        match insist(|| client.batch_execute(SCHEMA)).await {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("no table of marks: {error:?}")],
        }
    }

    /// Makes branches until told to stop.
    pub(in super::super) async fn brancher(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let client = gateway.connect().await;
        while signals.may_write(self.pause_ms_max).await {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let name = format!("branch_{number}");
            match self.branch(&client, number, &name).await {
                Ok(()) => self.tally.branched(),
                Err(error) => self.tally.failed(judge(&error)),
            }
            // Whether it is there need not be known.
            if let Err(error) = client.batch_execute(&format!("DROP TABLE IF EXISTS {name}")).await {
                self.tally.failed(judge(&error));
            }
        }
    }

    async fn branch(&self, client: &Client, number: u64, name: &str) -> Result<(), Error> {
        let starts = "SELECT DISTINCT system_start::text FROM accounts FOR SYSTEM_TIME ALL ORDER BY 1";
        let starts = client.query(starts, &[]).await?;
        let Some(start) = starts.get(random::below(starts.len() as u64) as usize) else { return Ok(()) };
        let at: &str = start.get(0);
        let then =
            pairs(client, &format!("SELECT id, balance FROM accounts FOR SYSTEM_TIME AS OF {at}")).await?;
        client.batch_execute(&format!("CREATE TABLE {name} CLONE accounts AS OF SYSTEM TIME {at}")).await?;
        self.check(client, name, "made", &then).await?;
        let mark = mark(client, number).await?;

        let mut now = then.clone();
        let gone = random::below(then.len() as u64 + 1) as i32;
        now.values_mut().for_each(|balance| *balance += 7);
        now.remove(&gone);
        now.insert(-1, 5);
        for change in [
            format!("UPDATE {name} SET balance = balance + 7"),
            format!("DELETE FROM {name} WHERE id = {gone}"),
            format!("INSERT INTO {name} VALUES (-1, 5)"),
        ] {
            client.batch_execute(&change).await?;
        }
        self.check(client, name, "changed", &now).await?;
        client.batch_execute(&format!("FLASHBACK TABLE {name} TO {mark}")).await?;
        self.check(client, name, "flashed back", &then).await
    }

    /// That a branch holds this, by its table and by its index.
    async fn check(
        &self,
        client: &Client,
        name: &str,
        what: &str,
        expected: &BTreeMap<i32, i64>,
    ) -> Result<(), Error> {
        let by_table = pairs(client, &format!("SELECT id, balance FROM {name}")).await?;
        let by_index = format!("SELECT id, balance FROM {name} WHERE balance > -1000000000");
        let by_index = pairs(client, &by_index).await?;
        if by_table != *expected || by_index != *expected {
            self.tally.violation(format!(
                "{name}, {what}, holds {by_table:?}, by its index {by_index:?}, instead of {expected:?}"
            ));
        }
        Ok(())
    }
}

/// A moment behind all that was answered before, and before all that is asked next, as a system timestamp.
async fn mark(client: &Client, number: u64) -> Result<String, Error> {
    client.batch_execute(&format!("INSERT INTO marks VALUES ({number})")).await?;
    let mark = format!("SELECT system_start::text FROM marks FOR SYSTEM_TIME ALL WHERE number = {number}");
    Ok(client.query_one(&mark, &[]).await?.get(0))
}
