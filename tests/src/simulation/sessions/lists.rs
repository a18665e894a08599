//! Lists that transactions read and append to, judged by `cycles`. Every other list is one text in one row; the rest
//! have a row for each element, so that whoever reads them reads what is not there yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use env::random;
use tokio_postgres::{Client, Error};

use super::super::cycles::Operation;
use super::super::gateway::Gateway;
use super::super::history::History;
use super::super::report::Tally;
use super::super::scenario::Scenario;
use super::super::signals::Signals;
use super::{in_block, insist, judge};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS lists (id int PRIMARY KEY, elements text NOT NULL);
    CREATE TABLE IF NOT EXISTS entries
        (list int, position int, element bigint NOT NULL, PRIMARY KEY (list, position))";

/// The lists, and what was done to them.
pub(in super::super) struct Lists {
    lists: u32,
    pause_ms_max: u64,
    tally: Tally,
    history: History,
}

fn is_text(list: u32) -> bool {
    list.is_multiple_of(2)
}

fn decode(elements: &str) -> Vec<u64> {
    elements.split(' ').filter_map(|element| element.parse().ok()).collect()
}

impl Lists {
    pub(in super::super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        let (lists, pause_ms_max) = (scenario.lists, scenario.pause_ms_max);
        Self { lists, pause_ms_max, history: History::new(tally.clone()), tally }
    }

    /// Makes the tables.
    pub(in super::super) async fn open(&self, gateway: &Gateway) -> Vec<String> {
        let client = gateway.connect().await;
        let opened = insist(|| client.batch_execute(SCHEMA)).await;
        opened.err().map(|error| format!("the lists cannot be made: {error:?}")).into_iter().collect()
    }

    /// Reads and appends until told to stop.
    pub(in super::super) async fn appender(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let mut client = gateway.connect().await;
        while signals.may_write(self.pause_ms_max).await {
            let invoked = self.history.now();
            let read_only = random::below(4) == 0;
            let begin =
                if read_only { "BEGIN READ ONLY" } else { "START TRANSACTION ISOLATION LEVEL SERIALIZABLE" };
            let mut operations = Vec::new();
            let ended = if random::below(4) == 0 {
                self.transact_by_portal(&mut client, &mut operations).await
            } else {
                let work = self.transact(&client, read_only, &mut operations);
                in_block(&client, begin, work).await
            };
            let failure = ended.err().map(|error| judge(&error));
            self.history.record(invoked, operations, failure);
        }
    }

    async fn transact(
        &self,
        client: &Client,
        read_only: bool,
        operations: &mut Vec<Operation>,
    ) -> Result<(), Error> {
        let first = random::below(u64::from(self.lists)) as u32;
        if !read_only && random::below(3) == 0 {
            // What is done behind a savepoint is taken back, what is seen there stays seen.
            client.batch_execute("SAVEPOINT doubt").await?;
            let list = (first + self.lists / 2) % self.lists;
            let seen = self.read(client, list, false).await?;
            operations.push(Operation { list, seen, appended: None });
            if random::below(2) == 0 {
                self.append(client, list, self.history.element()).await?;
            }
            client.batch_execute("ROLLBACK TO doubt").await?;
        }
        for turn in 0..1 + random::below(3) as u32 {
            let list = (first + turn) % self.lists;
            if operations.iter().any(|operation| operation.list == list) {
                continue;
            }
            let appends = !read_only && random::below(2) == 0;
            let seen = self.read(client, list, appends && random::below(2) == 0).await?;
            let appended = appends.then(|| self.history.element());
            operations.push(Operation { list, seen, appended });
            if let Some(element) = appended {
                self.append(client, list, element).await?;
            }
        }
        Ok(())
    }

    /// Reads a list row by row, and appends to another before it has come to the end.
    async fn transact_by_portal(
        &self,
        client: &mut Client,
        operations: &mut Vec<Operation>,
    ) -> Result<(), Error> {
        let list = random::below(u64::from(self.lists)) as u32;
        let other = (list + 1) % self.lists;
        let transaction = client.transaction().await?;
        let read = if is_text(list) {
            "SELECT elements FROM lists WHERE id = $1"
        } else {
            "SELECT element FROM entries WHERE list = $1 ORDER BY position"
        };
        let statement = transaction.prepare(read).await?;
        let portal = transaction.bind(&statement, &[&(list as i32)]).await?;
        let mut seen = Vec::new();
        let mut appended = None;
        loop {
            let rows = transaction.query_portal(&portal, 1).await?;
            for row in &rows {
                if is_text(list) {
                    seen.extend(decode(row.get(0)));
                } else {
                    seen.push(row.get::<_, i64>(0) as u64);
                }
            }
            if appended.is_none() {
                let element = self.history.element();
                self.append(transaction.client(), other, element).await?;
                appended = Some(element);
            }
            if rows.is_empty() {
                break;
            }
        }
        operations.push(Operation { list, seen, appended: None });
        let mut others = self.read(transaction.client(), other, false).await?;
        others.retain(|element| Some(*element) != appended);
        operations.push(Operation { list: other, seen: others, appended });
        transaction.commit().await
    }

    async fn read(&self, client: &Client, list: u32, locks: bool) -> Result<Vec<u64>, Error> {
        let lock = if locks { " FOR UPDATE" } else { "" };
        if is_text(list) {
            let read = format!("SELECT elements FROM lists WHERE id = $1{lock}");
            let row = client.query_opt(&read, &[&(list as i32)]).await?;
            return Ok(row.map_or_else(Vec::new, |row| decode(row.get(0))));
        }
        let read = format!("SELECT element FROM entries WHERE list = $1 ORDER BY position{lock}");
        let rows = client.query(&read, &[&(list as i32)]).await?;
        Ok(rows.iter().map(|row| row.get::<_, i64>(0) as u64).collect())
    }

    async fn append(&self, client: &Client, list: u32, element: u64) -> Result<(), Error> {
        let id = list as i32;
        let appended = if is_text(list) {
            let upsert = "INSERT INTO lists VALUES ($1, $2) \
                          ON CONFLICT (id) DO UPDATE SET elements = lists.elements || ' ' || excluded.elements";
            client.execute(upsert, &[&id, &element.to_string()]).await?
        } else {
            let next = "INSERT INTO entries \
                        SELECT $1::int, coalesce(max(position), 0) + 1, $2::bigint FROM entries WHERE list = $1";
            client.execute(next, &[&id, &(element as i64)]).await?
        };
        if appended != 1 {
            self.tally.violation(format!("{appended} rows were written for element {element}"));
        }
        Ok(())
    }

    /// Reads the lists as they are in the end and judges the history.
    pub(in super::super) async fn settle(&self, gateway: &Gateway) -> Vec<String> {
        let client = gateway.connect().await;
        let mut finals = BTreeMap::new();
        let read = in_block(&client, "BEGIN READ ONLY", async {
            for list in 0..self.lists {
                finals.insert(list, self.read(&client, list, false).await?);
            }
            Ok(())
        });
        match read.await {
            Ok(()) => self.history.judge(&finals),
            Err(error) => vec![format!("the final lists cannot be read: {error:?}")],
        }
    }
}
