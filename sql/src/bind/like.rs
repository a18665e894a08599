//! LIKE in CREATE TABLE: what a new table takes over from another.

use std::sync::Arc;

use super::Binder;
use super::definition::unplaced;
use super::index::index_column_names;
use super::new_names::{NewNames, check_distinct_name};
use crate::catalog::comment::Commented;
use crate::catalog::object::{SequenceDescriptor, SequenceState};
use crate::catalog::{
    Column, ColumnId, IndexColumn, IndexDescriptor, IndexExpression, IndexOptions, IndexPart, RowExpression,
    TableDescriptor, TableKind,
};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{
    self, CheckDefinition, DefaultDefinition, KeyDefinition, LikeParts, Name, TableConstraints,
};
use crate::plan::sequence::NewSequence;
use crate::plan::{NewComment, NewIndex, NewIndexKind};

/// A table that a new one is like.
#[derive(Debug)]
pub(super) struct Liked {
    table: Arc<TableDescriptor>,
    parts: LikeParts,
    /// Its columns, and those of the new table that are like them.
    columns: Vec<(ColumnId, ColumnId)>,
}

impl Liked {
    fn new_id(&self, old: ColumnId) -> Option<ColumnId> {
        self.columns.iter().find(|(own, _)| *own == old).map(|(_, new)| *new)
    }

    fn new_ids(&self, old: &[ColumnId]) -> Vec<ColumnId> {
        old.iter().filter_map(|old| self.new_id(*old)).collect()
    }

    /// The same expression over the new table, whose columns are called the same.
    fn expression(&self, of: &IndexExpression) -> IndexExpression {
        let kept = RowExpression { columns: self.new_ids(&of.kept.columns), text: of.kept.text.clone() };
        IndexExpression { kept, ty: of.ty, bound: None }
    }

    fn key(&self, key: &IndexColumn) -> Option<IndexColumn> {
        let part = match &key.part {
            IndexPart::Column(column) => IndexPart::Column(self.new_id(*column)?),
            IndexPart::Expression(expression) => IndexPart::Expression(self.expression(expression)),
        };
        Some(IndexColumn { part, ..key.clone() })
    }

    /// The indexes that no constraint of the new table makes.
    fn indexes(&self) -> impl Iterator<Item = &IndexDescriptor> {
        let named = self.table.indexes.iter().filter(|index| !index.name.is_empty());
        named.filter(|index| self.parts.indexes && index.constraint.is_none())
    }
}

impl Binder<'_> {
    /// The columns of a table that a new one is like, behind those in `columns`.
    pub(super) fn liked_columns(
        &mut self,
        schema: &str,
        name: &str,
        like: &ast::TableLike,
        columns: &mut Vec<Column>,
        sequences: &mut Vec<NewSequence>,
    ) -> Result<Liked> {
        let table = self.table(&like.table)?;
        if table.kind == TableKind::Sequence {
            let message = format!("relation \"{}\" is invalid in LIKE clause", table.name);
            let at = like.table.schema.as_ref().unwrap_or(&like.table.name).at;
            return Err(Error::new("42809", message)
                .detail("This operation is not supported for sequences.")
                .at(at));
        }
        self.needs.add(&table, crate::catalog::access::Right::Select);
        let parts = like.parts;
        let mut liked = Liked { table: table.clone(), parts, columns: Vec::new() };
        for (_, column) in table.visible() {
            check_distinct_name(&column.name, columns)?;
            let id = ColumnId::try_from(columns.len().saturating_add(1)).unwrap_or(ColumnId::MAX);
            liked.columns.push((column.id, id));
            columns.push(Column {
                id,
                name: column.name.clone(),
                ty: column.ty,
                not_null: column.not_null,
                default: column.default.clone().filter(|_| parts.defaults),
                generated: column.generated.clone().filter(|_| parts.generated),
                hidden: false,
                missing: None,
            });
            let Some((identity, object)) = self.catalog.objects().identity(table.oid, column.id) else {
                continue;
            };
            let Some(sequence) = object.sequence().filter(|_| parts.identity) else { continue };
            let mut names = NewNames::new(self, schema);
            names.chosen = sequences.iter().map(|sequence| sequence.name.clone()).collect();
            sequences.push(NewSequence {
                schema: schema.to_owned(),
                name: names.choose(name, std::slice::from_ref(&column.name), "seq"),
                definition: SequenceDescriptor {
                    initial: SequenceState { last: sequence.start, is_called: false },
                    owner: None,
                    ..sequence.clone()
                },
                column: Some((id, Some(identity))),
            });
        }
        Ok(liked)
    }

    /// Says of the generated columns that were taken over what they are made of.
    pub(super) fn generate_liked(
        &mut self,
        name: &str,
        liked: &[Liked],
        columns: &mut [Column],
    ) -> Result<()> {
        for (_, id) in liked.iter().flat_map(|liked| &liked.columns) {
            let Some(place) = columns.iter().position(|column| column.id == *id) else { continue };
            let Some(column) = columns.get(place) else { continue };
            let (ty, own) = (column.ty, column.name.clone());
            let Some(text) = column.generated.as_ref().map(|generated| generated.text.clone()) else {
                continue;
            };
            let written = DefaultDefinition { expr: parse::parse_expression(&text)?, text };
            let (row, own): (&[Column], _) = (columns, (ty, own.as_str()));
            let made = self.of_kept(|binder| binder.kept_generation(name, (row, row), own, &written));
            let made = made.map_err(unplaced)?;
            if let Some(column) = columns.get_mut(place) {
                column.generated = Some(made);
            }
        }
        Ok(())
    }
}

/// The checks and keys that a new table takes over.
pub(super) fn liked_constraints(liked: &[Liked]) -> Result<TableConstraints> {
    let mut constraints = TableConstraints::default();
    let named = |value: &str| Name { value: value.to_owned(), at: 0 };
    for Liked { table, parts, .. } in liked {
        for check in table.constraints.checks.iter().filter(|_| parts.constraints) {
            let text = check.expression.clone();
            constraints.checks.push(CheckDefinition {
                name: Some(named(&check.name)),
                condition: DefaultDefinition { expr: parse::parse_expression(&text)?, text },
                column: None,
                not_valid: false,
                no_inherit: check.no_inherit,
                is_kept: true,
                at: 0,
            });
        }
        for index in table.indexes.iter().filter(|_| parts.indexes) {
            let Some(constraint) = index.constraint else { continue };
            let columns = table.key_columns(index).filter_map(|place| table.columns.get(place));
            constraints.keys.push(KeyDefinition {
                name: None,
                primary: constraint.primary_key,
                columns: columns.map(|column| named(&column.name)).collect(),
                included: index
                    .options
                    .included
                    .iter()
                    .filter_map(|id| table.columns.get(table.column_by_id(*id)?))
                    .map(|column| named(&column.name))
                    .collect(),
                nulls_not_distinct: index.options.nulls_not_distinct,
                index: None,
                at: 0,
            });
        }
    }
    Ok(constraints)
}

/// The other indexes that it takes over.
pub(super) fn liked_indexes(names: &mut NewNames<'_, '_>, table: &str, liked: &[Liked]) -> Vec<NewIndex> {
    let mut indexes = Vec::new();
    for liked in liked {
        for index in liked.indexes() {
            indexes.push(NewIndex {
                name: names.choose(table, &index_column_names(&liked.table, index), "idx"),
                kind: if index.unique { NewIndexKind::Unique } else { NewIndexKind::Plain },
                columns: index.columns.iter().filter_map(|key| liked.key(key)).collect(),
                options: IndexOptions {
                    included: liked.new_ids(&index.options.included),
                    predicate: index.options.predicate.as_ref().map(|own| liked.expression(own)),
                    ..index.options.clone()
                },
            });
        }
    }
    indexes
}

impl Binder<'_> {
    /// The comments that a new table takes over: on columns and checks.
    pub(super) fn liked_comments(&self, liked: &[Liked]) -> Vec<(NewComment, String)> {
        let mut comments = Vec::new();
        for Liked { table, columns, parts } in liked {
            if !parts.comments {
                continue;
            }
            let comment = |class, oid, column| self.catalog.comments().get(Commented { class, oid, column });
            for (old, new) in columns {
                if let Some(text) = comment(Commented::RELATION, table.oid, *old) {
                    comments.push((NewComment::Column(*new), (**text).to_owned()));
                }
            }
            for check in table.constraints.checks.iter().filter(|_| parts.constraints) {
                if let Some(text) = comment(Commented::CONSTRAINT, check.oid, 0) {
                    comments.push((NewComment::Constraint(check.name.clone()), (**text).to_owned()));
                }
            }
        }
        comments
    }
}
