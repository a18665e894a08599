//! ALTER TABLE: what is new gets its ids, rows are written anew or looked through, the descriptor is put in place.

use std::sync::Arc;

use super::build::{self, Rewrite};
use super::{Change, changed, fill, refer_to_own};
use crate::catalog::comment::Commented;
use crate::catalog::object::ObjectDescriptor;
use crate::catalog::{Column, TableDescriptor};
use crate::error::Result;
use crate::execute::rows::TableFormat;
use crate::plan::{AlterTable, NO_OID, Verify};

impl Change<'_, '_> {
    pub(super) async fn alter_table(&mut self, alter: &AlterTable) -> Result<&'static str> {
        if !alter.only_renames {
            self.check_settled(&alter.from, "ALTER TABLE")?;
        }
        if alter.reads_rows() {
            self.check_isolation(&alter.from, "ALTER TABLE that reads rows")?;
        }
        let mut to = changed(alter.to.clone());
        for (id, value) in &alter.missing {
            let value = self.cx.evaluate(value, &[])?;
            if let Some(column) = to.columns.iter_mut().find(|column| column.id == *id) {
                column.missing = Column::keep_missing(&value)?;
            }
        }
        self.create_column_sequences(&mut to, &alter.sequences).await?;
        let fresh = self.give_ids(&mut to, alter.rewrite.is_some()).await?;
        self.note_own(&to);
        self.forget_parts(&alter.from, &to);
        let to = Arc::new(self.settled(to));
        match &alter.rewrite {
            Some(values) => {
                let rewrite = Rewrite {
                    from: &alter.from,
                    to: &to,
                    values,
                    generated: &alter.generated,
                    numbers: &self.numbers(&alter.from, &to),
                    verify: &alter.verify,
                };
                build::rewrite_rows(self.cx, &rewrite).await?;
            }
            None => {
                let verify = left_to_verify(&to, &alter.verify);
                if !(verify.not_null.is_empty() && verify.checks.is_empty()) {
                    build::verify_rows(self.cx, &to, &verify).await?;
                }
                let format = TableFormat::new(&to)?;
                for index in fresh {
                    fill::fill_index(self.cx, &format, index).await?;
                }
            }
        }
        self.take_away(&alter.removed)?;
        self.put_table(TableDescriptor::clone(&to))?;
        for name in &alter.verify.foreign_keys {
            build::verify_references(self.cx, &self.catalog, &to, name).await?;
        }
        self.disown_columns(&to);
        for change in &alter.identities {
            self.alter_sequence(&change.sequence, &change.settings, change.identity).await?;
        }
        if let Some(owner) = &alter.owner {
            self.change_owner(&to, owner)?;
        }
        Ok(alter.tag)
    }

    /// What is gone of the table: its keys are listed, its comments forgotten.
    fn forget_parts(&mut self, from: &TableDescriptor, to: &TableDescriptor) {
        for index in &from.indexes {
            if !to.indexes.iter().any(|kept| kept.id == index.id) {
                self.give_up_of(from.is_temporary(), from.oid, index.id);
            }
            if !to.indexes.iter().any(|kept| kept.oid == index.oid) {
                self.forget_comments(Commented::RELATION, index.oid);
            }
        }
        for (oid, _) in from.constraint_names().filter(|(oid, _)| to.constraint_name(*oid).is_none()) {
            self.forget_comments(Commented::CONSTRAINT, oid);
        }
        for column in from.columns.iter().filter(|column| to.column_by_id(column.id).is_none()) {
            let class = Commented::RELATION;
            self.forget_comment(Commented { class, oid: from.oid, column: column.id });
        }
    }

    /// The sequences that fill new columns, and the columns' places.
    fn numbers(&self, from: &TableDescriptor, to: &TableDescriptor) -> Vec<(usize, Arc<ObjectDescriptor>)> {
        let of = |id| self.catalog.objects().owned_by(to.oid, Some(id)).next().cloned();
        let new = to.columns.iter().enumerate().filter(|(_, column)| from.column_by_id(column.id).is_none());
        new.filter_map(|(place, column)| Some((place, of(column.id)?))).collect()
    }

    /// Gives ids to what has none, and, where rows are written anew, to all indexes; the ids of the new ones.
    async fn give_ids(&mut self, to: &mut TableDescriptor, anew: bool) -> Result<Vec<u64>> {
        let mut fresh = Vec::new();
        for index in &mut to.indexes {
            let is_new = index.oid == NO_OID;
            if is_new {
                index.oid = self.oid().await?;
            }
            if let Some(constraint) = &mut index.constraint
                && constraint.oid == NO_OID
            {
                constraint.oid = self.oid().await?;
            }
            if is_new || anew {
                self.renew(index).await?;
                fresh.push(index.id);
            }
        }
        for policy in to.row_security.policies.iter_mut().filter(|policy| policy.oid == NO_OID) {
            policy.oid = self.oid().await?;
        }
        let (oid, indexes) = (to.oid, to.indexes.clone());
        for key in &mut to.constraints.foreign_keys {
            if key.oid == NO_OID {
                key.oid = self.oid().await?;
            }
            refer_to_own(key, oid, &indexes)?;
        }
        for check in to.constraints.checks.iter_mut().filter(|check| check.oid == NO_OID) {
            check.oid = self.oid().await?;
        }
        Ok(fresh)
    }
}

/// What is known of new columns by the value that rows lack need not be looked for.
fn left_to_verify(to: &TableDescriptor, verify: &Verify) -> Verify {
    let mut left = verify.clone();
    left.not_null.retain(|id| to.columns.iter().any(|column| column.id == *id && column.missing.is_none()));
    left
}
