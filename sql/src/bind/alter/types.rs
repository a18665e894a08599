//! ALTER COLUMN … TYPE.

use expr::casts::CastContext;
use expr::types::Modifiers;
use expr::{Expr, Type, TypeKind, resolve};

use super::super::Binder;
use super::super::definition::unplaced;
use super::super::foreign_key::check_types;
use super::super::index::{check_key, check_primary};
use super::super::level::{Clause, Level};
use super::super::object::check_type;
use super::draft::Draft;
use crate::catalog::{Column, IndexColumn, Policy, TableDescriptor, ViewDescriptor};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, Name};
use crate::plan::IdentityChange;
use crate::plan::sequence::SequenceSetting;

impl Binder<'_> {
    pub(super) fn set_type(
        &mut self,
        draft: &mut Draft,
        name: &Name,
        ty: &ast::TypeName,
        using: Option<&ast::Expr>,
    ) -> Result<()> {
        let place = draft.column(name)?;
        let to = self.column_type(ty, &name.value)?;
        let Some(column) = draft.to.columns.get(place).cloned() else { return Ok(()) };
        if draft.converted.contains_key(&column.id) {
            let message = format!("cannot alter type of column \"{}\" twice", name.value);
            return Err(Error::new("0A000", message));
        }
        if using.is_some() && column.generated.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            let detail = format!("Column \"{}\" is a generated column.", column.name);
            return Err(Error::new("42611", message).detail(detail));
        }
        let made_of_it = |other: &&Column| {
            other.generated.as_ref().is_some_and(|generated| generated.columns.contains(&column.id))
        };
        if let Some(other) = draft.to.columns.iter().find(made_of_it) {
            let message = "cannot alter type of a column used by a generated column";
            let detail =
                format!("Column \"{}\" is used by generated column \"{}\".", column.name, other.name);
            return Err(Error::new("0A000", message).detail(detail));
        }
        if column.ty != to {
            self.check_keys(draft, &column, to, using.is_some())?;
        }
        let Some(old_place) = draft.from.column_by_id(column.id) else {
            return Err(Error::unsupported("ALTER COLUMN TYPE of a column that the statement adds"));
        };
        self.check_unread(draft, &column)?;
        if let Some(sequence) = self.identity_of(draft, place)
            && column.ty != to
        {
            check_type(&Column { ty: to, ..column.clone() })?;
            let settings = vec![SequenceSetting::Type(to.kind)];
            draft.identities.push(IdentityChange { sequence, identity: None, settings });
        }
        let from = column.ty;
        let value = match using {
            None => {
                let value = Expr::Column { index: old_place, ty: from };
                if !resolve::can_coerce(from.kind, to.kind, CastContext::Assignment) {
                    let shown = to.display_name();
                    let message =
                        format!("column \"{}\" cannot be cast automatically to type {shown}", name.value);
                    let name = expr::functions::quote::identifier(&name.value);
                    let error = Error::new("42804", message);
                    // A generated column cannot have USING.
                    return Err(match column.generated {
                        Some(_) => error,
                        None => error.hint(format!("You might need to specify \"USING {name}::{shown}\".")),
                    });
                }
                self.convert(value, to, CastContext::Assignment)?
            }
            Some(using) => self.using(draft, using, to, name)?,
        };
        if let Some(default) = &column.default {
            let message = format!(
                "default for column \"{}\" cannot be cast automatically to type {}",
                name.value,
                to.display_name()
            );
            let parsed = parse::parse_expression(default)?;
            let kept = ast::DefaultDefinition { expr: parsed, text: default.clone() };
            self.of_kept(|binder| binder.default_expression(&kept.expr, to, &name.value))
                .map_err(|_mismatch| Error::new("42804", message))?;
            let default = self.of_kept(|binder| binder.kept_default(&kept, to, &name.value))?;
            draft.change_column(place, |column| column.default = default);
        }
        if let Some(generated) = &column.generated {
            let message = format!(
                "generation expression for column \"{}\" cannot be cast automatically to type {}",
                name.value,
                to.display_name()
            );
            let columns = draft.to.columns.clone();
            let own = (to, name.value.as_str());
            let parsed = parse::parse_expression(&generated.text)?;
            self.of_kept(|binder| binder.generation(&draft.to.name, &columns, own, &parsed))
                .map_err(|_mismatch| Error::new("42804", message))?;
        }
        draft.change_column(place, |column| column.ty = to);
        let is_key = |key: &IndexColumn| key.column() == Some(column.id);
        for index in draft.to.indexes.iter().filter(|index| index.columns.iter().any(is_key)) {
            check_key(to, index.options.method, self.catalog, name.at)?;
            if index.primary {
                check_primary(to, name.at)?;
            }
        }
        let is_made_of_it = self.retype_indexes(&mut draft.to, column.id)?;
        // The conditions have to make sense of the new type.
        for check in draft.to.constraints.checks.clone() {
            if check.columns.contains(&column.id) {
                let (table, columns) = (draft.to.name.clone(), draft.to.columns.clone());
                let parsed = parse::parse_expression(&check.expression)?;
                let again = |binder: &mut Self| binder.check_condition(&table, &columns, &parsed);
                self.of_kept(again).map_err(unplaced)?;
                let text = ast::DefaultDefinition { expr: parsed, text: check.expression.clone() };
                let expression =
                    self.of_kept(|binder| binder.kept_condition(&table, &columns, &columns, &text))?.text;
                for own in draft.to.constraints.checks.iter_mut().filter(|own| own.name == check.name) {
                    own.expression.clone_from(&expression);
                }
            }
        }
        let in_primary = draft
            .from
            .primary()
            .is_some_and(|primary| primary.columns.iter().any(|key| key.column() == Some(column.id)));
        if using.is_none() && !is_made_of_it && is_only_wider(from, to, in_primary) {
            return Ok(());
        }
        draft.rewrites = true;
        draft.converted.insert(column.id, value);
        if column.not_null {
            draft.not_null.insert(column.id);
        }
        let named = draft.to.constraints.checks.iter().filter(|check| check.columns.contains(&column.id));
        let named: Vec<String> =
            named.filter(|check| check.validated).map(|check| check.name.clone()).collect();
        draft.checks.extend(named);
        Ok(())
    }

    /// What foreign keys ask of a column's new type: both sides have to be comparable, and what rows reference has to be
    /// there still. 0A000 where values that are referenced may become others.
    fn check_keys(&self, draft: &mut Draft, column: &Column, to: Type, is_computed: bool) -> Result<()> {
        let mut columns = draft.to.columns.clone();
        for own in columns.iter_mut().filter(|own| own.id == column.id) {
            own.ty = to;
        }
        let stays = !is_computed && keeps_values(column.ty.kind, to.kind);
        let own = draft.to.oid;
        let mut verified = Vec::new();
        for key in draft.to.constraints.foreign_keys.iter().filter(|key| key.columns.contains(&column.id)) {
            let parent = self.catalog.table_by_oid(key.parent).map(|parent| parent.columns.as_slice());
            let parent = if key.parent == own { Some(columns.as_slice()) } else { parent };
            check_types(&key.name, &columns, &key.columns, parent.unwrap_or_default(), &key.parent_columns)?;
            if key.validated && !stays && !draft.verified.contains(&key.name) {
                verified.push(key.name.clone());
            }
        }
        draft.verified.extend(verified);
        for child in self.catalog.tables() {
            let child_columns = if child.oid == own { columns.as_slice() } else { child.columns.as_slice() };
            let keys = child.constraints.foreign_keys.iter();
            for key in keys.filter(|key| key.parent == own && key.parent_columns.contains(&column.id)) {
                check_types(&key.name, child_columns, &key.columns, &columns, &key.parent_columns)?;
                if !stays {
                    return Err(Error::unsupported(
                        "ALTER COLUMN TYPE of a column that a foreign key references, to other values,",
                    ));
                }
            }
        }
        Ok(())
    }

    /// 0A000 if a view reads the column: its own columns would have to follow.
    pub(super) fn check_unread(&self, draft: &Draft, column: &Column) -> Result<()> {
        let reads = |view: &ViewDescriptor| {
            let mut own = view.relations.iter().filter(|relation| relation.oid == draft.to.oid);
            own.any(|relation| relation.read.contains(&column.id))
        };
        self.check_unasked(draft, column)?;
        let Some((word, name, _)) = self.catalog.queries().find(|(.., view)| reads(view)) else {
            return Ok(());
        };
        let detail = format!("rule _RETURN on {word} {name} depends on column \"{}\"", column.name);
        let message = "cannot alter type of a column used by a view or rule";
        Err(Error::new("0A000", message).detail(detail))
    }

    /// 0A000 if a policy reads the column.
    fn check_unasked(&self, draft: &Draft, column: &Column) -> Result<()> {
        let reads = |table: &TableDescriptor, policy: &Policy| {
            policy.conditions().any(|condition| {
                let own = table.oid == draft.to.oid && condition.read.contains(&column.id);
                let mut named = condition.written.relations.iter();
                own || named.any(|other| other.oid == draft.to.oid && other.read.contains(&column.id))
            })
        };
        // The oldest is told.
        let mut found: Option<(&Policy, &TableDescriptor)> = None;
        for table in self.catalog.tables() {
            // As it is by now.
            let table = if table.oid == draft.to.oid { &draft.to } else { table.as_ref() };
            let reading = table.row_security.policies.iter().filter(|policy| reads(table, policy));
            found = found.into_iter().chain(reading.map(|own| (own, table))).min_by_key(|(own, _)| own.oid);
        }
        let Some((policy, table)) = found else { return Ok(()) };
        let detail =
            format!("policy {} on table {} depends on column \"{}\"", policy.name, table.name, column.name);
        Err(Error::new("0A000", "cannot alter type of a column used in a policy definition").detail(detail))
    }

    /// USING of ALTER COLUMN TYPE, over the old row.
    pub(super) fn using(&mut self, draft: &Draft, using: &ast::Expr, to: Type, name: &Name) -> Result<Expr> {
        let clause = Clause::without_queries("transform expressions", "transform expression");
        let level = Level::query(self.own_row(&draft.from.name, &draft.from.columns), clause, false);
        let bound = self.without_parameters(|binder| {
            binder
                .at_level(level, |binder| binder.expression_as(using, to, CastContext::Assignment, using.at))
        });
        let (bound, _) = bound?;
        if !resolve::can_coerce(bound.ty().kind, to.kind, CastContext::Assignment) {
            let message = format!(
                "result of USING clause for column \"{}\" cannot be cast automatically to type {}",
                name.value,
                to.display_name()
            );
            return Err(Error::new("42804", message).hint("You might need to add an explicit cast."));
        }
        Ok(self.convert(bound, to, CastContext::Assignment)?)
    }
}

/// Whether a value that can be one of the second type is the same there: what equals it, equals it still.
fn keeps_values(from: TypeKind, to: TypeKind) -> bool {
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    let is_text = |kind| matches!(kind, TypeKind::Text | TypeKind::Varchar);
    from == to && from != TypeKind::Numeric && !is_text(from)
        || is_integer(from) && is_integer(to)
        || is_text(from) && to == TypeKind::Text
}

/// Whether every value of the first type is, as it stands in rows, one of the second.
fn is_only_wider(from: Type, to: Type, in_primary_key: bool) -> bool {
    if from == to {
        return true;
    }
    let wider = match (from.length(), to.length()) {
        (_, None) => true,
        (Some(from), Some(to)) => from <= to,
        (None, Some(_)) => false,
    };
    match (from.kind, to.kind) {
        (TypeKind::Text | TypeKind::Varchar, TypeKind::Text | TypeKind::Varchar)
        | (TypeKind::Varbit, TypeKind::Varbit) => wider,
        (TypeKind::Numeric, TypeKind::Numeric) => {
            match (from.precision_and_scale(), to.precision_and_scale()) {
                // A key gets its zeros behind the point back from the type.
                (Some(_), None) => !in_primary_key,
                (Some((p, s)), Some((wider, scale))) => s == scale && p <= wider,
                (None, _) => false,
            }
        }
        (from_kind, to_kind) if from_kind == to_kind => {
            let precise = matches!(from_kind.row().modifiers, Modifiers::Precision(..));
            precise && from_kind.element().is_none() && to.precision().is_none()
        }
        _ => false,
    }
}
