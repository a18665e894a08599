//! What tables were, for statements that ask for the columns of then (`nunatak.history_columns`).
//!
//! Binding does not wait. So a table of then that is not known yet is asked for, and binding ends with an error; whoever has the
//! statement bound reads what the table was, and begins anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::catalog::{Oid, TableDescriptor};

/// A table, and the timestamp that it is meant at.
pub(crate) type TableThen = (Oid, u64);

/// The tables of then that a statement's binding knows.
#[derive(Debug, Default)]
pub struct TablesThen {
    known: Mutex<BTreeMap<TableThen, Arc<TableDescriptor>>>,
    asked: Mutex<Option<TableThen>>,
}

impl TablesThen {
    /// What a table was, if that is known.
    pub(super) fn get(&self, of: TableThen) -> Option<Arc<TableDescriptor>> {
        self.known.lock().get(&of).cloned()
    }

    /// Asks for it.
    pub(super) fn ask(&self, of: TableThen) {
        *self.asked.lock() = Some(of);
    }

    /// What was asked for.
    pub(crate) fn take_asked(&self) -> Option<TableThen> {
        self.asked.lock().take()
    }

    /// What was asked for is known: the table of then, which is called as it is now. Its policies are those of now, and so is what of it is
    /// audited.
    pub(crate) fn put(&self, of: TableThen, mut then: TableDescriptor, now: &TableDescriptor) {
        then.schema.clone_from(&now.schema);
        then.name.clone_from(&now.name);
        then.row_security = now.row_security.clone();
        then.audit = now.audit;
        // What the expressions of others mean is known of those of now alone.
        then.indexes.retain(|index| index.primary);
        self.known.lock().insert(of, Arc::new(then));
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.known.lock().clear();
        *self.asked.lock() = None;
    }
}
