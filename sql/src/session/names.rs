//! What the protocol does with the names of statements and portals.

use expr::Datum;

use super::format::ColumnFormats;
use super::registry::{BoundPortal, Source};
use super::{Prepared, Session, TransactionStatus, aborted};
use crate::error::Result;

impl Session {
    /// Parse: names a prepared statement; "" replaces the unnamed one.
    ///
    /// # Errors
    /// 42P05 if the name is taken, 53200 if the session holds too much.
    pub fn add_statement(&mut self, name: &str, source: Source) -> Result<()> {
        self.registry.add_statement(name, source)
    }

    /// 42P05 if a statement of this name exists.
    pub fn check_statement_name(&self, name: &str) -> Result<()> {
        self.registry.check_statement_name(name)
    }

    /// The statement of this name; 26000 if there is none.
    pub fn statement(&self, name: &str) -> Result<&Source> {
        self.registry.statement(name)
    }

    /// Close of a statement. That there is none is no error.
    pub fn close_statement(&mut self, name: &str) {
        self.registry.remove_statement(name);
    }

    /// Bind: names a portal; "" replaces the unnamed one.
    ///
    /// # Errors
    /// 42P03 if the name is taken, 53200 if the session holds too much.
    pub fn add_portal(
        &mut self,
        name: &str,
        source: Source,
        parameters: Vec<Datum>,
        formats: ColumnFormats,
    ) -> Result<()> {
        self.registry.add_portal(name, source, parameters, formats)
    }

    /// The portal of this name; 34000 if there is none.
    pub fn portal(&self, name: &str) -> Result<&BoundPortal> {
        self.registry.portal(name)
    }

    /// Takes a portal out to run it. Unless it is put back it is gone.
    ///
    /// # Errors
    /// 34000 if there is none; 25P02 in a failed block, where it stays.
    pub fn take_portal(&mut self, name: &str) -> Result<BoundPortal> {
        if self.status() == TransactionStatus::Failed {
            match self.registry.portal(name) {
                Ok(portal) => {
                    portal.source.as_deref().map_or(Ok(()), |source| self.check_runnable(source))?
                }
                Err(_) if self.registry.has_ended(name) => return Err(aborted()),
                Err(error) => return Err(error),
            }
        }
        self.registry.take_portal(name)
    }

    /// A run of a portal failed: in the failed block it is not unknown.
    pub fn portal_failed(&mut self, name: &str) {
        if self.status() == TransactionStatus::Failed {
            self.registry.note_ended(name);
        }
    }

    /// 25P02 if the columns of this may not be asked for because the transaction block has failed.
    pub fn check_describable(&self, source: &Source) -> Result<()> {
        match source.as_deref().and_then(Prepared::columns) {
            Some(_) if self.status() == TransactionStatus::Failed => Err(aborted()),
            _ => Ok(()),
        }
    }

    /// Puts a portal back after a run, unless the transaction that it was made in has ended meanwhile.
    pub fn put_portal(&mut self, name: &str, portal: BoundPortal) {
        self.registry.put_portal(name, portal);
    }

    /// Close of a portal. That there is none is no error.
    pub fn close_portal(&mut self, name: &str) {
        self.registry.remove_portal(name);
    }

    /// A simple query replaces the unnamed statement and the unnamed portal.
    pub fn forget_unnamed(&mut self) {
        self.registry.remove_statement("");
        self.registry.remove_portal("");
    }
}
