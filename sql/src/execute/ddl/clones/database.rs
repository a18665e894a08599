//! CREATE DATABASE … CLONE: all that was in a database at a moment, in another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use client::{Client, Transaction};

use super::super::{Change, store};
use super::rights::{Since, about, asked_by, asked_by_table, in_clone, spread};
use super::{Branches, TOO_OLD, state_of, too_old};
use crate::catalog::access::stored::{RightsRow, encode_default_acl, encode_rights, rights_key};
use crate::catalog::access::{BOOTSTRAP_OID, Object, ObjectRights};
use crate::catalog::comment::{self, Comments};
use crate::catalog::database::{self, Database, Databases};
use crate::catalog::home::Home;
use crate::catalog::object::stored as objects;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, SequenceState};
use crate::catalog::{FIRST_USER_OID, IndexId, IndexState, Oid, TableDescriptor, stored};
use crate::error::{Error, Result};
use crate::moment;

/// What is in a database.
struct DatabaseNow {
    objects: BTreeMap<Oid, Arc<ObjectDescriptor>>,
    tables: BTreeMap<Oid, Arc<TableDescriptor>>,
    rights: Vec<RightsRow>,
}

/// What was in a database.
struct DatabaseThen {
    /// With how far they were, of sequences.
    objects: Vec<(ObjectDescriptor, Option<SequenceState>)>,
    tables: Vec<TableDescriptor>,
    /// `None`: that is known no more. Rows of the catalog are kept for longer with those of tables, but not these.
    rights: Option<Vec<RightsRow>>,
    /// The same.
    comments: Option<Comments>,
}

impl Change<'_, '_> {
    /// CREATE DATABASE … CLONE: all that was in a database, in another, where there is nothing.
    pub(in crate::execute::ddl) async fn clone_database(
        &mut self,
        of: &Database,
        to: Home,
        moment: Option<&str>,
    ) -> Result<()> {
        let client = self.cx.client;
        let at = match moment {
            None => client.timestamp().await?.timestamp,
            Some(text) => {
                let wanted = moment::meant(&expr::Datum::text(text), self.cx.session)?.last;
                moment::reached(client, wanted).await?
            }
        };
        let from = Home::of(of.oid);
        let now = DatabaseNow::read(self.cx.transaction, from).await?;
        let mut past = client.past(at);
        let then = DatabaseThen::read(client, &mut past, of, &now).await;
        past.rollback().await;
        let mut then = then?;
        self.write_rights(to, &now, &then);
        let comments = match then.comments.take() {
            Some(comments) => comments,
            None => {
                let comments = read_comments(self.cx.transaction, from).await?;
                then.commented(comments)
            }
        };
        for (on, text) in comments.iter().filter(|(on, _)| !on.is_shared()) {
            self.put(on.key(to), comment::encode(on, text));
        }
        for (mut object, state) in then.objects {
            let anew = match (object.sequence(), state) {
                (Some(sequence), Some(state)) => Some(self.sequence_anew(sequence, state).await?),
                _ => None,
            };
            if let Some(sequence) = anew {
                object.body = ObjectBody::Sequence(sequence);
            }
            self.put(objects::object_key(to, object.oid), objects::encode_object(&object)?);
        }
        let mut branches = Branches { at, made: Vec::new() };
        let mut statistics = Vec::new();
        for mut table in then.tables {
            let note = Bytes::from(format!("{}.{}.{}", of.name, table.schema, table.name));
            table.indexes.retain(|index| index.state == IndexState::Public);
            for index in &mut table.indexes {
                let id = self.branch(&mut branches, index.id, &note).await?;
                if index.primary {
                    statistics.push((index.id, id));
                }
                index.id = id;
            }
            // What is audited now, or was then.
            table.audit = now.tables.get(&table.oid).map_or(table.audit, |now| now.audit.or(table.audit));
            self.put(stored::table_key(to, table.oid), stored::encode_table(&table)?);
            self.cx.tick(1).await?;
        }
        self.establish(&branches, &now.in_use()).await?;
        for (from, to) in statistics {
            self.copy_statistics(from, to).await?;
        }
        Ok(())
    }

    /// Who may do what with what is in a clone.
    fn write_rights(&mut self, to: Home, now: &DatabaseNow, then: &DatabaseThen) {
        let of_tables = then.tables.iter().map(|table| {
            let now = now.tables.get(&table.oid).map(Arc::as_ref);
            (Object::Table(table.oid), Since::of_table(table, now))
        });
        let of_objects = then.objects.iter().map(|(object, _)| {
            let now = now.objects.get(&object.oid).map(Arc::as_ref);
            (about(object), Since::of_object(object, now))
        });
        // Those of the beginning have no rows.
        let of_first = now.rights.iter().filter_map(|row| match row {
            RightsRow::Object(object, _) if object.oid() < FIRST_USER_OID => Some((*object, Since::Same)),
            _ => None,
        });
        let mut all: BTreeMap<Object, Since> = of_first.chain(of_tables).chain(of_objects).collect();
        let asked_by_tables = then.tables.iter().map(|own| (Object::Table(own.oid), asked_by_table(own)));
        let asked_by_others = then.objects.iter().map(|(own, _)| (about(own), asked_by(own)));
        spread(&mut all, &asked_by_tables.chain(asked_by_others).collect());
        let (rights_now, rights_then) =
            (by_object(&now.rights), by_object(then.rights.as_deref().unwrap_or_default()));
        let at_first = ObjectRights::of_owner(BOOTSTRAP_OID);
        for (object, since) in all {
            let now = rights_now.get(&object).copied().unwrap_or(&at_first);
            let then = rights_then.get(&object).copied().unwrap_or(&at_first);
            let has_role = |role| self.catalog.access().role(role).is_some();
            let rights = in_clone(object, since, now, then, has_role);
            if rights != at_first {
                self.put(rights_key(to, object), encode_rights(object, &rights));
            }
        }
        for row in &now.rights {
            if let RightsRow::Default(key, own) = row {
                self.put(row.key(to), encode_default_acl(*key, own));
            }
        }
    }
}

/// Rights by what they are about.
fn by_object(rows: &[RightsRow]) -> BTreeMap<Object, &ObjectRights> {
    rows.iter()
        .filter_map(|row| match row {
            RightsRow::Object(object, rights) => Some((*object, rights)),
            RightsRow::Default(..) => None,
        })
        .collect()
}

impl DatabaseNow {
    async fn read(transaction: &mut Transaction, home: Home) -> Result<Self> {
        let (kinds, objects) = store::load_objects(transaction, home).await?;
        let tables = store::load_tables(transaction, home, &kinds).await?;
        let rights = store::load_rights(transaction, home).await?;
        let objects = objects.into_iter().map(|object| (object.oid, object)).collect();
        Ok(Self { objects, tables: tables.into_iter().map(|table| (table.oid, table)).collect(), rights })
    }

    /// The indexes of its tables.
    fn in_use(&self) -> BTreeSet<IndexId> {
        self.tables.values().flat_map(|table| &table.indexes).map(|index| index.id).collect()
    }

    /// Whether a sequence draws from there.
    fn draws_from(&self, state: IndexId) -> bool {
        let sequences = self.objects.values().filter_map(|object| object.sequence());
        sequences.map(|sequence| sequence.state).any(|own| own == state)
    }
}

impl DatabaseThen {
    async fn read(client: &Client, past: &mut Transaction, of: &Database, now: &DatabaseNow) -> Result<Self> {
        let home = Home::of(of.oid);
        let databases = if_kept(store::scan(past, database::span()).await)?;
        if let Some(rows) = &databases {
            let mut databases = Databases::default();
            rows.iter().try_for_each(|(_, row)| databases.take(row))?;
            if databases.get(of.oid).is_none() {
                let message = format!("database \"{}\" did not exist at that moment", of.name);
                return Err(Error::new("3D000", message));
            }
        }
        let (kinds, found) = store::load_objects(past, home).await?;
        let tables = store::load_tables(past, home, &kinds).await?;
        if databases.is_none() && found.is_empty() && tables.is_empty() {
            // There was nothing in it, or there was no such database.
            return Err(too_old());
        }
        let mut objects = Vec::with_capacity(found.len());
        for object in found {
            let state = match object.sequence() {
                Some(sequence) => {
                    Some(state_of(client, past, sequence, now.draws_from(sequence.state)).await?)
                }
                None => None,
            };
            objects.push((ObjectDescriptor::clone(&object), state));
        }
        let rights = if_kept(store::load_rights(past, home).await)?;
        let comments = if_kept(read_comments(past, home).await)?;
        let tables = tables.iter().map(|table| TableDescriptor::clone(table)).collect();
        Ok(Self { objects, tables, rights, comments })
    }

    /// Those of comments that are on what was there.
    fn commented(&self, comments: Comments) -> Comments {
        let mut known: BTreeSet<Oid> = self.objects.iter().map(|(object, _)| object.oid).collect();
        for table in &self.tables {
            known.insert(table.oid);
            known.extend(table.indexes.iter().map(|index| index.oid));
            known.extend(table.constraint_names().map(|(oid, _)| oid));
        }
        comments.retained(|on| known.contains(&on.oid))
    }
}

async fn read_comments(transaction: &mut Transaction, home: Home) -> Result<Comments> {
    let mut comments = Comments::default();
    for (_, row) in store::scan(transaction, comment::span(home)).await? {
        comments.take(&row)?;
    }
    Ok(comments)
}

/// What was read; `None`: it is kept no more.
fn if_kept<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.sqlstate == TOO_OLD => Ok(None),
        Err(error) => Err(error),
    }
}
