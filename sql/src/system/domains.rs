//! What judges values that are read as those of a domain: as fields, as elements, as parts of documents.

use std::collections::HashMap;
use std::sync::Arc;

use expr::tree::Domain;
use expr::{Datum, SessionContext, TypeKind};
use parking_lot::Mutex;

use crate::bind;
use crate::catalog::{CatalogSnapshot, Oid};

/// The domains of one catalog that were asked for so far: their conditions are made sense of once.
#[derive(Debug, Default)]
pub(super) struct Judges(Mutex<HashMap<Oid, Arc<[Arc<Domain>]>>>);

impl Judges {
    /// Judges a value that is to be one of a domain, and of those that it is over.
    ///
    /// # Errors
    /// 23502: it is NULL and must not be; 23514: a condition is false.
    pub(super) fn judge(
        &self,
        catalog: &CatalogSnapshot,
        domain: TypeKind,
        value: &Datum,
        session: &SessionContext,
    ) -> expr::Result<()> {
        let judges = self.of(catalog, domain)?;
        judges.iter().try_for_each(|judge| judge.judge(value, session))
    }

    fn of(&self, catalog: &CatalogSnapshot, domain: TypeKind) -> expr::Result<Arc<[Arc<Domain>]>> {
        if let Some(known) = self.0.lock().get(&domain.oid()) {
            return Ok(known.clone());
        }
        let (_, found) = bind::judges(domain, catalog)
            .map_err(|error| expr::Error::new(error.sqlstate, error.message.clone()))?;
        let found: Arc<[Arc<Domain>]> = found.into();
        self.0.lock().insert(domain.oid(), found.clone());
        Ok(found)
    }
}
