//! What statements have taken, those that differ in their literals alone taken together (`pg_stat_statements`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::gateways::StatementCounts;
use parking_lot::Mutex;

use crate::parse::{self, Template};

/// So many statements are known at a time; of those that were called least one in twenty goes when there are more.
const STATEMENTS_MAX: usize = 2000;

/// So much of a statement's text is kept.
const QUERY_BYTES_MAX: usize = 2048;

/// What the statements of a gateway have taken.
#[derive(Default)]
pub(crate) struct Statements {
    known: Mutex<HashMap<Key, Arc<Counted>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    user: Arc<str>,
    database: Arc<str>,
    query_id: i64,
}

/// One statement, as whoever runs it keeps it at hand.
pub(crate) struct Counted {
    key: Key,
    query: String,
    /// It has gone: what is counted here nobody sees.
    is_gone: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    calls: u64,
    rows: u64,
    total_ms: f64,
    least_ms: f64,
    most_ms: f64,
    squares: f64,
}

impl Counted {
    /// Whether it is the statement of this user, and still looked at.
    pub(crate) fn is_of(&self, user: &str, database: &str) -> bool {
        !self.is_gone.load(Ordering::Relaxed) && *self.key.user == *user && *self.key.database == *database
    }

    /// What it is known by.
    pub(crate) fn query_id(&self) -> i64 {
        self.key.query_id
    }

    /// It has run.
    pub(crate) fn count(&self, took: Duration, rows: u64) {
        let ms = took.as_secs_f64() * 1000.0;
        let mut counts = self.counts.lock();
        counts.least_ms = if counts.calls == 0 { ms } else { counts.least_ms.min(ms) };
        counts.most_ms = counts.most_ms.max(ms);
        counts.calls = counts.calls.saturating_add(1);
        counts.rows = counts.rows.saturating_add(rows);
        counts.total_ms += ms;
        counts.squares += ms * ms;
    }
}

impl Statements {
    /// The statement of this text.
    pub(crate) fn find(&self, user: &Arc<str>, database: &Arc<str>, text: &str) -> Arc<Counted> {
        let Template { beginning: query, hash } = parse::template(text, QUERY_BYTES_MAX);
        // 0 stands for none.
        let query_id = i64::from_ne_bytes(hash.to_ne_bytes());
        let query_id = if query_id == 0 { 1 } else { query_id };
        let key = Key { user: user.clone(), database: database.clone(), query_id };
        let mut known = self.known.lock();
        if let Some(found) = known.get(&key) {
            return found.clone();
        }
        if known.len() >= STATEMENTS_MAX {
            make_room(&mut known);
        }
        let counted = Arc::new(Counted {
            key: key.clone(),
            query,
            is_gone: AtomicBool::new(false),
            counts: Mutex::default(),
        });
        known.insert(key, counted.clone());
        counted
    }

    /// Forgets all of it.
    pub(crate) fn reset(&self) {
        for (_, counted) in self.known.lock().drain() {
            counted.is_gone.store(true, Ordering::Relaxed);
        }
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Vec<StatementCounts> {
        let known: Vec<Arc<Counted>> = self.known.lock().values().cloned().collect();
        let counts = known.iter().map(|counted| {
            let counts = *counted.counts.lock();
            StatementCounts {
                user: counted.key.user.to_string(),
                database: counted.key.database.to_string(),
                query_id: counted.key.query_id,
                query: counted.query.clone(),
                calls: counts.calls,
                rows: counts.rows,
                total_ms: counts.total_ms,
                least_ms: counts.least_ms,
                most_ms: counts.most_ms,
                squares: counts.squares,
            }
        });
        counts.filter(|counts| counts.calls > 0).collect()
    }
}

fn make_room(known: &mut HashMap<Key, Arc<Counted>>) {
    let mut calls: Vec<u64> = known.values().map(|counted| counted.counts.lock().calls).collect();
    calls.sort_unstable();
    let border = calls.get(calls.len() / 20).copied().unwrap_or(u64::MAX);
    let mut left = calls.len() / 20 + 1;
    known.retain(|_, counted| {
        let goes = left > 0 && counted.counts.lock().calls <= border;
        if goes {
            left -= 1;
            counted.is_gone.store(true, Ordering::Relaxed);
        }
        !goes
    });
}

/// What several gateways have counted, taken together.
pub(super) fn merge(counts: impl Iterator<Item = StatementCounts>) -> Vec<StatementCounts> {
    let mut merged: BTreeMap<(String, String, i64), StatementCounts> = BTreeMap::new();
    for one in counts {
        let key = (one.user.clone(), one.database.clone(), one.query_id);
        match merged.get_mut(&key) {
            None => drop(merged.insert(key, one)),
            Some(all) => {
                all.calls = all.calls.saturating_add(one.calls);
                all.rows = all.rows.saturating_add(one.rows);
                all.total_ms += one.total_ms;
                all.least_ms = all.least_ms.min(one.least_ms);
                all.most_ms = all.most_ms.max(one.most_ms);
                all.squares += one.squares;
            }
        }
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_differ_in_literals_are_one() {
        let (statements, user, database) = (Statements::default(), "ann".into(), "postgres".into());
        for (text, ms) in [("select 1", 2), ("select 22 ;", 4), ("select a from t", 1)] {
            statements.find(&user, &database, text).count(Duration::from_millis(ms), 1);
        }
        let counts = statements.counts();
        assert_eq!(counts.len(), 2);
        let merged = merge(counts.clone().into_iter().chain(counts));
        let one = merged.iter().find(|one| one.query == "select $1").unwrap();
        assert_eq!((one.calls, one.rows, one.least_ms, one.most_ms), (4, 4, 2.0, 4.0));
        statements.reset();
        assert!(statements.counts().is_empty());
    }

    #[test]
    fn those_that_are_called_least_make_room() {
        let (statements, user, database) = (Statements::default(), "ann".into(), "postgres".into());
        let kept = statements.find(&user, &database, "select often");
        (0..9).for_each(|_| kept.count(Duration::ZERO, 0));
        let mut rare = Vec::new();
        for number in 0..=STATEMENTS_MAX {
            let counted = statements.find(&user, &database, &format!("select c{number}"));
            counted.count(Duration::ZERO, 0);
            rare.push(counted);
        }
        assert!(statements.counts().len() <= STATEMENTS_MAX);
        assert!(kept.is_of("ann", "postgres"));
        assert!(rare.iter().any(|counted| !counted.is_of("ann", "postgres")));
    }
}
