//! Encrypting anew: what is under an old key, or under none, is rewritten a piece at a time, like a compaction.
//!
//! Logs first, by segment, then tables, in place: the ones of level 0 by compacting it, since its order is that of age.
//! Once nothing uses an old key it leaves the key store.

use std::collections::BTreeSet;

use super::engine::Engine;
use crate::compaction::pick::{Candidate, Pick, Shape, pick_any};
use crate::encryption::{EncryptionStatus, KeySource, Keys};
use crate::error::{Error, Result};

impl Engine {
    /// Makes a new data key for all files that are begun from now on, and returns its number.
    pub(crate) fn rotate_data_key(&self) -> Result<u64> {
        self.check()?;
        let data_key = self.keys()?.rotate()?;
        tracing::info!(data_key = %format_args!("{data_key:016x}"), "new files are sealed with a new data key");
        self.signal();
        Ok(data_key)
    }

    /// Seals the key store under another master key.
    pub(crate) fn set_master_key(&self, source: &KeySource) -> Result<()> {
        self.check()?;
        self.keys()?.set_master(source)
    }

    /// Which keys are in use; None: the database is not encrypted.
    pub(crate) fn encryption(&self) -> Result<Option<EncryptionStatus>> {
        self.check()?;
        self.tables.keys.as_ref().map(Keys::status).transpose()
    }

    /// Encrypts one piece anew, or forgets old keys; false if there is nothing to do, or nothing can be done now.
    pub(crate) fn rekey_once(&self) -> Result<bool> {
        let Some(keys) = &self.tables.keys else { return Ok(false) };
        let told = |error: Error| {
            tracing::error!(%error, source = ?error, "what is under an old key cannot be encrypted anew");
            error
        };
        if keys.reseal_one().map_err(told)? {
            return Ok(true);
        }
        let active = keys.active();
        let stale: BTreeSet<u64> = {
            let view = self.view();
            let tables = view.version.tables().map(|(_, table)| table);
            let stale = tables.filter(|t| t.summary.envelope.is_none_or(|used| used.data_key != active));
            stale.map(|table| table.id).collect()
        };
        if !stale.is_empty() {
            let task = self.choose(|levels, shape| pick_stale(levels, shape, &stale))?;
            return task.map_or(Ok(false), |task| self.run(task));
        }
        Ok(keys.has_old() && keys.retire().map_err(told)? > 0)
    }

    /// Encrypts anew all that there is to.
    pub(crate) fn rekey_all(&self) -> Result<()> {
        self.check()?;
        while self.rekey_once()? {}
        Ok(())
    }

    fn keys(&self) -> Result<&Keys> {
        self.tables.keys.as_ref().ok_or_else(|| Error::Invalid("the database is not encrypted".to_owned()))
    }
}

/// The compaction that rewrites a table of these.
fn pick_stale(levels: &[Vec<Candidate>], shape: &Shape, stale: &BTreeSet<u64>) -> Option<Pick> {
    levels.iter().enumerate().find_map(|(level, tables)| {
        let table = tables.iter().find(|table| !table.busy && stale.contains(&table.id))?;
        if level == 0 {
            return pick_any(levels, shape, 0);
        }
        Some(Pick { from: level, to: level, inputs: vec![table.id], overlapped: Vec::new(), score: 0 })
    })
}
