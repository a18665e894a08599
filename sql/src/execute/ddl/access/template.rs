//! A database that is made of another: the rows of its catalog, and those of its tables.
//!
//! Oids stay as they are, as in PostgreSQL: they are a database's own. Index ids are the cluster's, so that all tables,
//! indexes and sequences get new ones. It is all read at one snapshot and written by the transaction that makes the database.

use client::{ScanOptions, Span};
use keys::sql::TENANT_DEFAULT;

use super::super::{Change, store};
use crate::catalog::access::stored as rights;
use crate::catalog::comment::{self, Comments};
use crate::catalog::home::Home;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, stored as objects};
use crate::catalog::{IndexId, TableDescriptor, stored as tables};
use crate::error::Result;

const PAGE: ScanOptions = ScanOptions { rows_max: 4096, bytes_max: 1 << 20, reverse: false };

impl Change<'_, '_> {
    /// Makes all that is in a database anew in another, where there is nothing.
    pub(super) async fn copy_database(&mut self, from: Home, to: Home) -> Result<()> {
        let (kinds, found) = store::load_objects(self.cx.transaction, from).await?;
        for object in &found {
            let mut object = ObjectDescriptor::clone(object);
            if let ObjectBody::Sequence(sequence) = &mut object.body {
                sequence.state = self.copy_index(sequence.state).await?;
            }
            let row = objects::encode_object(&object)?;
            self.put(objects::object_key(to, object.oid), row);
        }
        for table in store::load_tables(self.cx.transaction, from, &kinds).await? {
            let mut table = TableDescriptor::clone(&table);
            for index in &mut table.indexes {
                index.id = self.copy_index(index.id).await?;
            }
            self.put(tables::table_key(to, table.oid), tables::encode_table(&table)?);
        }
        for (_, row) in store::scan(self.cx.transaction, rights::rights_span(from)).await? {
            let known = rights::decode_rights(&row)?;
            if !known.is_shared() {
                self.put(known.key(to), row);
            }
        }
        let mut comments = Comments::default();
        for (_, row) in store::scan(self.cx.transaction, comment::span(from)).await? {
            comments.take(&row)?;
        }
        for (on, text) in comments.iter().filter(|(on, _)| !on.is_shared()) {
            self.put(on.key(to), comment::encode(on, text));
        }
        Ok(())
    }

    /// Writes what stands under an index id under a new one.
    async fn copy_index(&mut self, from: IndexId) -> Result<IndexId> {
        let to = self.index_id().await?;
        let (old, new) = [from, to].map(|id| keys::sql::index_prefix(TENANT_DEFAULT, id)).into();
        let span = keys::sql::index_span(TENANT_DEFAULT, from);
        let mut left = Some(Span { start: span.start, end: span.end });
        while let Some(span) = left.take() {
            let page = self.cx.transaction.scan(span, PAGE).await?;
            left = page.resume;
            for (key, value) in page.rows {
                let mut copy = new.to_vec();
                copy.extend_from_slice(key.strip_prefix(old.as_ref()).unwrap_or_default());
                self.put(copy.into(), value);
                self.cx.tick(1).await?;
            }
            self.cx.account_writes().await?;
        }
        Ok(to)
    }
}
