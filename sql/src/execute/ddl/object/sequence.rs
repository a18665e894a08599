//! Sequences: made, altered, restarted.

use super::Change;
use crate::catalog::access::Object;
use crate::catalog::object::{Identity, ObjectBody, ObjectDescriptor, SequenceOwner, SequenceState};
use crate::catalog::{ColumnId, Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::plan::sequence::{self, NewSequence, SequenceSetting};

impl Change<'_, '_> {
    /// Makes a sequence; `column` is the one that it goes with, if the new sequence knows how. Its oid.
    pub(in crate::execute::ddl) async fn create_sequence(
        &mut self,
        new: &NewSequence,
        column: Option<(Oid, ColumnId)>,
    ) -> Result<Oid> {
        self.make_own_schema(&new.schema).await?;
        let oid = self.oid().await?;
        let mut definition = new.definition.clone();
        definition.state = self.index_id().await?;
        if let Some((table, column)) = column {
            let identity = new.column.and_then(|(_, identity)| identity);
            definition.owner = Some(SequenceOwner { table, column, identity });
        }
        let owner = definition.owner;
        self.put_object(ObjectDescriptor {
            oid,
            schema: new.schema.clone(),
            name: new.name.clone(),
            body: ObjectBody::Sequence(definition),
        })?;
        self.own(Object::Sequence(oid), None)?;
        if let Some(owner) = owner {
            self.check_same_owner(oid, owner.table)?;
        }
        Ok(oid)
    }

    /// The sequences of a new table's columns; the defaults that draw from them.
    pub(in crate::execute::ddl) async fn create_column_sequences(
        &mut self,
        table: &mut TableDescriptor,
        sequences: &[NewSequence],
    ) -> Result<()> {
        for new in sequences {
            let Some((column, identity)) = new.column else { continue };
            let oid = self.create_sequence(new, Some((table.oid, column))).await?;
            if identity.is_none()
                && let Some(column) = table.columns.iter_mut().find(|own| own.id == column)
            {
                column.default = Some(format!("nextval('{oid}'::regclass)"));
            }
        }
        Ok(())
    }

    /// Changes a sequence: where it is now it goes on, under an index id of its own, so that nobody sees anything of that
    /// before the commit, and nothing of it remains without one.
    pub(in crate::execute::ddl) async fn alter_sequence(
        &mut self,
        object: &ObjectDescriptor,
        settings: &[SequenceSetting],
        identity: Option<Identity>,
    ) -> Result<()> {
        let known = object.sequence().ok_or_else(|| Error::internal("a sequence that is none"))?;
        // Whose state stays as it is waits for nobody, nor anybody for it: not even this transaction's own draws.
        let is_of_state = |setting: &SequenceSetting| !matches!(setting, SequenceSetting::Owner(_));
        let state = match settings.iter().any(is_of_state) {
            true => self.cx.sequences.store().settle(self.cx.transaction, known).await?,
            false => known.initial,
        };
        let (mut definition, moves) = sequence::alter(known, state, settings)?;
        if moves {
            self.give_up(object.is_temporary(), known.state);
            definition.state = self.index_id().await?;
        } else {
            definition.initial = known.initial;
        }
        if let Some(owner) = definition.owner.as_mut() {
            owner.identity = identity.or(owner.identity);
        }
        let owner = definition.owner;
        self.put_object(ObjectDescriptor {
            body: ObjectBody::Sequence(definition),
            ..ObjectDescriptor::clone(object)
        })?;
        match owner {
            Some(owner) if settings.iter().any(|setting| matches!(setting, SequenceSetting::Owner(_))) => {
                self.check_same_owner(object.oid, owner.table)
            }
            _ => Ok(()),
        }
    }

    fn check_same_owner(&self, sequence: Oid, table: Oid) -> Result<()> {
        let access = self.catalog.access();
        let (own, other) = (access.object(Object::Sequence(sequence)), access.object(Object::Table(table)));
        // A table that is being made has no owner yet: it is to be the same.
        if self.catalog.table_by_oid(table).is_none() || own.owner == other.owner {
            return Ok(());
        }
        Err(Error::new("55000", "sequence must have same owner as table it is linked to"))
    }

    /// TRUNCATE … RESTART IDENTITY: the sequences of a table's columns begin anew.
    pub(in crate::execute::ddl) async fn restart_sequences(&mut self, table: Oid) -> Result<()> {
        let owned: Vec<_> = self.catalog.objects().owned_by(table, None).cloned().collect();
        for object in owned {
            let Some(known) = object.sequence() else { continue };
            self.cx.sequences.store().settle(self.cx.transaction, known).await?;
            let mut definition = known.clone();
            self.give_up(object.is_temporary(), known.state);
            definition.state = self.index_id().await?;
            definition.initial = SequenceState { last: known.start, is_called: false };
            self.put_object(ObjectDescriptor {
                body: ObjectBody::Sequence(definition),
                ..ObjectDescriptor::clone(&object)
            })?;
        }
        Ok(())
    }
}
