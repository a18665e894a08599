//! CREATE and ALTER SEQUENCE: options become settings, their names objects.

use super::{Bound, change, nothing, unplaced};
use crate::bind::Binder;
use crate::bind::from::shown;
use crate::catalog::TableKind;
use crate::catalog::object::SequenceOwner;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{Name, ObjectName, Persistence, QualifiedName, SequenceOption, SequenceOptionKind};
use crate::plan::ObjectChange;
use crate::plan::sequence::{self, NewSequence, SequenceSetting};

impl Binder<'_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &QualifiedName,
        if_not_exists: bool,
        options: &[SequenceOption],
        persistence: Persistence,
    ) -> Result<Bound> {
        let schema = self.creation_schema(name, persistence).map_err(unplaced)?;
        if self.catalog.is_taken(&schema, &name.name.value) {
            let message = format!("relation \"{}\" already exists", name.name.value);
            if !if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            return nothing("CREATE SEQUENCE");
        }
        let settings = self.sequence_settings(options, &schema)?;
        let definition = sequence::create(&settings)?;
        let sequence =
            Box::new(NewSequence { schema, name: name.name.value.clone(), definition, column: None });
        change(ObjectChange::CreateSequence { sequence })
    }

    pub(super) fn alter_sequence(
        &mut self,
        object: &ObjectName,
        options: &[SequenceOption],
    ) -> Result<Bound> {
        let Some(relation) = self.altered(object)? else { return nothing("ALTER SEQUENCE") };
        let found = self.catalog.objects().get(relation.oid).cloned();
        let sequence = found.ok_or_else(|| Error::internal("a sequence without a descriptor"))?;
        let settings = self.sequence_settings(options, &relation.schema)?;
        let owner = sequence.sequence().and_then(|sequence| sequence.owner);
        if let Some(owner) = owner.filter(|owner| owner.identity.is_some())
            && settings.iter().any(|setting| matches!(setting, SequenceSetting::Owner(_)))
        {
            let table = self.catalog.table_by_oid(owner.table).map_or("", |table| table.name.as_str());
            let detail = format!("Sequence \"{}\" is linked to table \"{table}\".", sequence.name);
            return Err(Error::new("0A000", "cannot change ownership of identity sequence").detail(detail));
        }
        change(ObjectChange::AlterSequence { sequence, settings })
    }

    /// Options with their names resolved; of a sequence in this schema.
    pub(super) fn sequence_settings(
        &self,
        options: &[SequenceOption],
        schema: &str,
    ) -> Result<Vec<SequenceSetting>> {
        let mut settings = Vec::with_capacity(options.len());
        for option in options {
            settings.push(match &option.kind {
                SequenceOptionKind::As(ty) => SequenceSetting::Type(self.type_of(ty)?.kind),
                SequenceOptionKind::Increment(by) => SequenceSetting::Increment(*by),
                SequenceOptionKind::Min(min) => SequenceSetting::Min(*min),
                SequenceOptionKind::Max(max) => SequenceSetting::Max(*max),
                SequenceOptionKind::Start(start) => SequenceSetting::Start(*start),
                SequenceOptionKind::Restart(to) => SequenceSetting::Restart(*to),
                SequenceOptionKind::Cache(cache) => SequenceSetting::Cache(*cache),
                SequenceOptionKind::Cycle(cycle) => SequenceSetting::Cycle(*cycle),
                SequenceOptionKind::OwnedBy(None) => SequenceSetting::Owner(None),
                SequenceOptionKind::OwnedBy(Some((table, column))) => {
                    SequenceSetting::Owner(Some(self.sequence_owner(table, column, schema)?))
                }
                SequenceOptionKind::Name(_) => {
                    return Err(Error::new("42601", "invalid sequence option SEQUENCE NAME").at(option.at));
                }
            });
        }
        Ok(settings)
    }

    fn sequence_owner(&self, table: &QualifiedName, column: &Name, schema: &str) -> Result<SequenceOwner> {
        let found = self.table(table).map_err(unplaced)?;
        if found.kind != TableKind::Base {
            let message = format!("sequence cannot be owned by relation \"{}\"", shown(table));
            return Err(Error::new("42809", message));
        }
        if found.schema != schema {
            let message = "sequence must be in same schema as table it is linked to";
            return Err(Error::new("55000", message));
        }
        let place = found.visible().find(|(_, own)| own.name == column.value);
        let Some((_, own)) = place else {
            let message =
                format!("column \"{}\" of relation \"{}\" does not exist", column.value, found.name);
            return Err(Error::new("42703", message));
        };
        Ok(SequenceOwner { table: found.oid, column: own.id, identity: None })
    }
}
