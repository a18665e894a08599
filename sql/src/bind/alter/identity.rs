//! ALTER COLUMN … ADD, SET and DROP of identities.

use std::sync::Arc;

use super::super::Binder;
use super::super::object::check_type;
use super::draft::Draft;
use crate::catalog::depend::Address;
use crate::catalog::object::ObjectDescriptor;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{IdentityAction, Name};

impl Binder<'_> {
    /// The sequence of an identity column, as far as this statement leaves it.
    pub(super) fn identity_of(&self, draft: &Draft, place: usize) -> Option<Arc<ObjectDescriptor>> {
        let id = draft.to.columns.get(place)?.id;
        let (_, sequence) = self.catalog.objects().identity(draft.to.oid, id)?;
        let is_gone = draft.removed.contains(&Address::Relation(sequence.oid));
        if is_gone { None } else { Some(sequence.clone()) }
    }

    /// ALTER COLUMN … ADD GENERATED, SET GENERATED, DROP IDENTITY.
    pub(super) fn identity(&mut self, draft: &mut Draft, name: &Name, action: &IdentityAction) -> Result<()> {
        let place = draft.column(name)?;
        let Some(column) = draft.to.columns.get(place).cloned() else { return Ok(()) };
        let known = self.identity_of(draft, place);
        if known.is_none() && draft.sequences.iter().any(|new| new.column.is_some_and(|c| c.0 == column.id)) {
            return Err(Error::unsupported("several changes of one identity"));
        }
        match (action, known) {
            (IdentityAction::Add(definition), known) => {
                check_type(&column)?;
                if !column.not_null {
                    return Err(draft.not_now(name, "must be declared NOT NULL before identity can be added"));
                }
                if known.is_some() {
                    return Err(draft.not_now(name, "is already an identity column"));
                }
                if column.default.is_some() || column.generated.is_some() {
                    return Err(draft.not_now(name, "already has a default value"));
                }
                let (schema, table) = (draft.to.schema.clone(), draft.to.name.clone());
                let columns = [column.name.clone()];
                let sequence = self.column_sequence(&schema, &column, Some(definition), || {
                    self.choosing(draft, |names| names.choose(&table, &columns, "seq"))
                })?;
                draft.sequences.push(sequence);
                Ok(())
            }
            (IdentityAction::Drop { if_exists: true }, None) => {
                let error = draft.not_now(name, "is not an identity column");
                self.notices.push(Notice::notice("00000", format!("{}, skipping", error.message)));
                Ok(())
            }
            (_, None) => Err(draft.not_now(name, "is not an identity column")),
            (IdentityAction::Drop { .. }, Some(sequence)) => {
                let part = Address::Relation(sequence.oid);
                let mut removal = self.removal(draft, part);
                removal.unbind();
                self.take_away(draft, part, &removal, false)
            }
            (IdentityAction::Set { always, options }, Some(sequence)) => {
                let schema = draft.to.schema.clone();
                draft.identities.push(self.identity_change(&schema, sequence, *always, options)?);
                Ok(())
            }
        }
    }
}
