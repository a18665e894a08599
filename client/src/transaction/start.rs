//! A transaction's timestamp, and how it comes by it.
//!
//! The first request that reads or locks goes to one range mostly. It carries no timestamp then: whoever leads the range asks
//! the oracle after the request has arrived, and answers what it read at, which is the transaction's timestamp from then
//! on. Under READ COMMITTED the same goes for the first request of each statement. A request that was sent again gets
//! another timestamp, and so does each of its copies that arrive late: nobody has seen what they would answer.
//!
//! Where requests go to several ranges, where nothing is read (a commit always carries its timestamp), and where a leader does
//! not reach the oracle, the transaction asks for itself.

use futures::FutureExt as _;
use proto::v1::{Validate, operation};

use super::ranges::CATALOG_VERSION;
use super::read::mismatch;
use super::{REROUTES_MAX, Transaction};
use crate::router::Route;
use crate::sender::Failure;
use crate::{Result, Timestamp};

impl Transaction {
    /// The timestamp that plain reads see; taken from the oracle if there is none yet.
    pub async fn read_timestamp(&mut self) -> Result<u64> {
        self.open()?;
        if !self.has_timestamp() {
            self.take_timestamp().await?;
        }
        Ok(self.timestamp)
    }

    /// Whether reads go on at the timestamp that there is.
    pub(super) fn has_timestamp(&self) -> bool {
        self.timestamp != 0 && !self.stale
    }

    /// What the next request is to read at; 0: whoever leads the range asks the oracle, see [`Transaction::took`].
    pub(super) fn timestamp_or_ask(&mut self) -> u64 {
        if self.has_timestamp() {
            return self.timestamp;
        }
        self.hold_history();
        if self.options.priority == 0 {
            // Once and for all, before any range hears of the transaction: waits in a deadlock are compared wherever they are.
            self.options.priority = match self.client.horizon.newest() {
                0 => crate::moment::about_now(),
                newest => newest,
            };
        }
        0
    }

    /// A leader that was asked with the timestamp `asked` answers that it read at `read_at`; the timestamp to go on with.
    pub(super) fn took(&mut self, asked: u64, read_at: u64) -> Result<u64> {
        if asked != 0 {
            return Ok(asked);
        }
        if read_at == 0 {
            return Err(mismatch());
        }
        self.client.horizon.observe(read_at);
        self.start_at(Timestamp { timestamp: read_at, catalog_version: 0 });
        Ok(read_at)
    }

    /// Makes sure that a request at `at` to a range that does not keep the catalog version was planned under the one in force
    /// then: whoever keeps it is asked, once for each timestamp. The timestamp to go on with, which such a request needs.
    pub(super) async fn gated(&mut self, route: &Route, at: u64) -> Result<u64> {
        let version = self.options.catalog_version;
        if version == 0 || route.holds(&CATALOG_VERSION) {
            return Ok(at);
        }
        let at = if at == 0 { self.take_timestamp().await? } else { at };
        if self.gated != (at, version) {
            for _ in 0..REROUTES_MAX {
                let keeper = self.client.sender.route(&CATALOG_VERSION, self.options.timeout).await?;
                let build = || operation::Operation::Validate(Validate { at, ..Validate::default() });
                match self.client.sender.send(&keeper, &self.call(), build).await {
                    Ok(_) => {
                        self.gated = (at, version);
                        return Ok(at);
                    }
                    Err(Failure::Rerouted) => {}
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            return Err(self.fail(Failure::Rerouted));
        }
        Ok(at)
    }

    pub(super) async fn take_timestamp(&mut self) -> Result<u64> {
        self.hold_history();
        let fresh = self.client.timestamp_within(self.options.timeout).boxed().await?;
        self.start_at(fresh);
        Ok(fresh.timestamp)
    }

    /// Reads see what was committed up to this timestamp from now on.
    pub(super) fn start_at(&mut self, fresh: Timestamp) {
        self.timestamp = fresh.timestamp;
        self.oracle_catalog_version = fresh.catalog_version;
        self.stale = false;
        if self.options.priority == 0 {
            self.options.priority = fresh.timestamp;
        }
    }

    /// From now on history is kept for this transaction, whatever timestamp it gets.
    fn hold_history(&mut self) {
        if self.holds.is_none() {
            self.holds = Some(self.client.horizon.join(&self.client.sender));
        }
    }
}
