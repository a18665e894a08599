//! ALTER COLUMN … TYPE.

use expr::casts::CastContext;
use expr::types::Modifiers;
use expr::{Expr, Type, TypeKind, resolve};

use super::super::Binder;
use super::super::ddl::{check_key, unplaced};
use super::super::level::{Clause, Level};
use super::super::object::check_type;
use super::draft::Draft;
use crate::catalog::object::ViewRelation;
use crate::catalog::{Column, ForeignKey};
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
        let references =
            |key: &ForeignKey| key.parent == draft.to.oid && key.parent_columns.contains(&column.id);
        let own = draft.to.constraints.foreign_keys.iter();
        if (own.clone().any(|key| key.columns.contains(&column.id) || references(key))
            || self.catalog.tables().any(|table| table.constraints.foreign_keys.iter().any(references)))
            && column.ty != to
        {
            return Err(Error::unsupported("ALTER COLUMN TYPE of a column of a foreign key"));
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
                    return Err(Error::new("42804", message)
                        .hint(format!("You might need to specify \"USING {name}::{shown}\".")));
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
            self.default_expression(&kept.expr, to, &name.value)
                .map_err(|_mismatch| Error::new("42804", message))?;
            let default = self.kept_default(&kept, to, &name.value);
            draft.change_column(place, |column| column.default = default);
        }
        draft.change_column(place, |column| column.ty = to);
        for index in
            draft.to.indexes.iter().filter(|index| index.columns.iter().any(|k| k.column == column.id))
        {
            let _of = index;
            check_key(to, name.at)?;
        }
        // The conditions have to make sense of the new type.
        for check in draft.to.constraints.checks.clone() {
            if check.columns.contains(&column.id) {
                let (table, columns) = (draft.to.name.clone(), draft.to.columns.clone());
                let parsed = parse::parse_expression(&check.expression)?;
                self.check_condition(&table, &columns, &parsed).map_err(unplaced)?;
                let text = ast::DefaultDefinition { expr: parsed, text: check.expression.clone() };
                let expression = self.kept_condition(&table, &columns, &columns, &text)?;
                for own in draft.to.constraints.checks.iter_mut().filter(|own| own.name == check.name) {
                    own.expression.clone_from(&expression);
                }
            }
        }
        let in_primary = draft
            .from
            .primary()
            .is_some_and(|primary| primary.columns.iter().any(|key| key.column == column.id));
        if using.is_none() && is_only_wider(from, to, in_primary) {
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

    /// 0A000 if a view reads the column: its own columns would have to follow.
    pub(super) fn check_unread(&self, draft: &Draft, column: &Column) -> Result<()> {
        let views = self.catalog.objects().iter().filter_map(|object| Some((object, object.view()?)));
        for (object, view) in views {
            let reads =
                |relation: &ViewRelation| relation.oid == draft.to.oid && relation.read.contains(&column.id);
            if view.relations.iter().any(reads) {
                let detail =
                    format!("rule _RETURN on view {} depends on column \"{}\"", object.name, column.name);
                let message = "cannot alter type of a column used by a view or rule";
                return Err(Error::new("0A000", message).detail(detail));
            }
        }
        Ok(())
    }

    /// USING of ALTER COLUMN TYPE, over the old row.
    pub(super) fn using(&mut self, draft: &Draft, using: &ast::Expr, to: Type, name: &Name) -> Result<Expr> {
        let clause = Clause::without_queries("transform expressions", "transform expression");
        let level = Level::query(self.own_row(&draft.from.name, &draft.from.columns), clause, false);
        let bound =
            self.without_parameters(|binder| binder.at_level(level, |binder| binder.expression(using)));
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
        (TypeKind::Text | TypeKind::Varchar, TypeKind::Text | TypeKind::Varchar) => wider,
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
