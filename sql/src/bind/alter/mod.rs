//! ALTER TABLE: the table as it becomes, step by step, and what has to be done to its rows.
//!
//! The actions of a statement are taken in PostgreSQL's order: what goes first, then types, new columns, their
//! attributes, keys, other constraints.

mod draft;
mod identity;
mod rename;
mod types;
mod using_index;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::volatility::Volatility;
use expr::{Expr, Type, TypeKind};

use self::draft::Draft;
use super::column::{COLUMNS_MAX, row_id_column};
use super::definition::{Bound, ddl, duplicate_constraint, unplaced};
use super::foreign_key::{Declaring, keys_of};
use super::from::shown;
use super::new_names::{NewNames, check_column_name};
use super::object::serial;
use super::{Binder, system_column};
use crate::catalog::depend::Address;
use crate::catalog::removal::{self, Removal};
use crate::catalog::{ColumnId, TableDescriptor, TableKind};
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{
    self, AlterAction, IdentityAction, Name, ObjectKind, ObjectName, RowSecurityChange, TableConstraints,
};
use crate::plan::{AlterTable, Ddl, NewIndex, Verify};

/// When PostgreSQL takes an action.
fn pass(action: &AlterAction) -> usize {
    match action {
        AlterAction::DropColumn { .. }
        | AlterAction::DropConstraint { .. }
        | AlterAction::SetDefault { default: None, .. }
        | AlterAction::DropExpression { .. }
        | AlterAction::SetNotNull { not_null: false, .. }
        | AlterAction::Identity { action: IdentityAction::Drop { .. }, .. } => 0,
        AlterAction::SetType { .. } => 1,
        AlterAction::AddColumn { .. } => 2,
        AlterAction::SetNotNull { not_null: true, .. } => 3,
        AlterAction::AddConstraint(constraints) if !constraints.keys.is_empty() => 4,
        AlterAction::AddConstraint(_)
        | AlterAction::SetDefault { .. }
        | AlterAction::Identity { action: IdentityAction::Add(_), .. } => 5,
        AlterAction::Validate(_)
        | AlterAction::AlterConstraint { .. }
        | AlterAction::RenameColumn { .. }
        | AlterAction::RenameConstraint { .. }
        | AlterAction::Identity { .. }
        | AlterAction::Audit(_)
        | AlterAction::WithoutEffect { .. }
        | AlterAction::RowSecurity(_)
        | AlterAction::Owner(_) => 6,
    }
}

impl Binder<'_> {
    /// ALTER TABLE.
    pub(super) fn alter_table(&mut self, alter: &ast::AlterTable) -> Result<Bound> {
        if let [AlterAction::SetDefault { name, default }] = alter.actions.as_slice()
            && self.table(&alter.name).is_ok_and(|relation| relation.kind == TableKind::View)
        {
            let (kind, if_exists) = (ObjectKind::Table, alter.if_exists);
            let object = ObjectName { kind, name: alter.name.clone(), if_exists };
            return self.set_view_default(&object, name, default.as_ref(), "ALTER TABLE");
        }
        let not_so = |table: &TableDescriptor| refused(table, alter.actions.first());
        let table = match self.stored_table(&alter.name, not_so) {
            Ok(table) => table,
            Err(error) if alter.if_exists && error.sqlstate == "42P01" => {
                let message = format!("relation \"{}\" does not exist, skipping", shown(&alter.name));
                self.notices.push(Notice::notice("00000", message));
                return ddl(Ddl::Nothing { tag: "ALTER TABLE" });
            }
            Err(error) => return Err(unplaced(error)),
        };
        let mut draft = Draft {
            to: TableDescriptor::clone(&table),
            from: table,
            added: BTreeMap::new(),
            converted: BTreeMap::new(),
            rewrites: false,
            generated: BTreeSet::new(),
            not_null: BTreeSet::new(),
            checks: BTreeSet::new(),
            chosen: Vec::new(),
            freed: Vec::new(),
            verified: Vec::new(),
            removed: Vec::new(),
            sequences: Vec::new(),
            identities: Vec::new(),
            owner: None,
        };
        let mut actions = self.separated(&draft, &alter.actions)?;
        actions.sort_by_key(pass);
        for action in actions {
            self.alter(&mut draft, action)?;
        }
        let is_rename = |action: &AlterAction| {
            matches!(action, AlterAction::RenameColumn { .. } | AlterAction::RenameConstraint { .. })
        };
        let mut bound = self.finish_alter(draft)?;
        bound.only_renames = alter.actions.iter().all(is_rename);
        ddl(Ddl::AlterTable(Box::new(bound)))
    }

    /// The actions, with the constraints of new columns as actions of their own.
    fn separated(&mut self, draft: &Draft, actions: &[AlterAction]) -> Result<Vec<AlterAction>> {
        let mut separated = Vec::with_capacity(actions.len());
        for action in actions {
            let AlterAction::AddColumn { column, constraints, if_not_exists } = action else {
                separated.push(action.clone());
                continue;
            };
            if draft.from.column_by_name(&column.name.value).is_some() && *if_not_exists {
                let message = format!(
                    "column \"{}\" of relation \"{}\" already exists, skipping",
                    column.name.value, draft.from.name
                );
                self.notices.push(Notice::notice("42701", message));
                continue;
            }
            let add = |constraints| AlterAction::AddConstraint(constraints);
            separated.push(AlterAction::AddColumn {
                column: column.clone(),
                constraints: TableConstraints::default(),
                if_not_exists: false,
            });
            let TableConstraints { keys, checks, foreign_keys } = constraints.clone();
            let none = TableConstraints::default;
            separated.extend(keys.into_iter().map(|key| add(TableConstraints { keys: vec![key], ..none() })));
            separated.extend(
                checks.into_iter().map(|check| add(TableConstraints { checks: vec![check], ..none() })),
            );
            separated.extend(
                foreign_keys
                    .into_iter()
                    .map(|key| add(TableConstraints { foreign_keys: vec![key], ..none() })),
            );
        }
        Ok(separated)
    }

    fn alter(&mut self, draft: &mut Draft, action: AlterAction) -> Result<()> {
        match action {
            AlterAction::AddColumn { column, .. } => self.add_column(draft, &column),
            AlterAction::DropColumn { name, if_exists, cascade } => {
                self.drop_column(draft, &name, if_exists, cascade)
            }
            AlterAction::SetDefault { name, default } => {
                let place = draft.column(&name)?;
                if self.identity_of(draft, place).is_some() {
                    let error = draft.is_identity(&name, "is an identity column");
                    let hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.";
                    return Err(if default.is_none() { error.hint(hint) } else { error });
                }
                if draft.to.columns.get(place).is_some_and(|column| column.generated.is_some()) {
                    let error = draft.of_column("42601", &name, "is a generated column");
                    let hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.";
                    return Err(if default.is_none() { error.hint(hint) } else { error });
                }
                let ty = draft.to.columns.get(place).map_or(Type::plain(TypeKind::Text), |column| column.ty);
                let default = match default {
                    None => None,
                    Some(default) => {
                        self.default_expression(&default.expr, ty, &name.value).map_err(unplaced)?;
                        self.kept_default(&default, ty, &name.value)?
                    }
                };
                draft.change_column(place, |column| column.default = default);
                Ok(())
            }
            AlterAction::DropExpression { name, if_exists } => self.drop_expression(draft, &name, if_exists),
            AlterAction::SetNotNull { name, not_null } => {
                let place = draft.column(&name)?;
                if !not_null && self.identity_of(draft, place).is_some() {
                    return Err(draft.is_identity(&name, "is an identity column"));
                }
                draft.set_not_null(&name, not_null)
            }
            AlterAction::Identity { name, action } => self.identity(draft, &name, &action),
            AlterAction::SetType { name, ty, using } => self.set_type(draft, &name, &ty, using.as_ref()),
            AlterAction::AddConstraint(constraints) => self.add_constraint(draft, &constraints),
            AlterAction::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(draft, &name, if_exists, cascade)
            }
            AlterAction::Validate(name) => draft.validate(&name),
            AlterAction::AlterConstraint { name, deferrable, deferred } => {
                draft.alter_constraint(&name, deferrable, deferred)
            }
            AlterAction::RenameColumn { from, to } => self.rename_column(draft, &from, &to),
            AlterAction::RenameConstraint { from, to } => self.rename_constraint(draft, &from, &to),
            AlterAction::WithoutEffect { shown: "SET LOGGED" | "SET UNLOGGED", .. }
                if draft.to.is_temporary() =>
            {
                let name = &draft.to.name;
                let message =
                    format!("cannot change logged status of table \"{name}\" because it is temporary");
                Err(Error::new("42P16", message))
            }
            AlterAction::WithoutEffect { column, index, .. } => draft.check_parts(column, index),
            AlterAction::RowSecurity(change) => {
                let security = &mut draft.to.row_security;
                match change {
                    RowSecurityChange::Enable => security.enabled = true,
                    RowSecurityChange::Disable => security.enabled = false,
                    RowSecurityChange::Force => security.forced = true,
                    RowSecurityChange::NoForce => security.forced = false,
                }
                Ok(())
            }
            AlterAction::Audit(classes) => {
                draft.to.audit = classes;
                Ok(())
            }
            AlterAction::Owner(owner) => {
                draft.owner = Some(owner);
                Ok(())
            }
        }
    }

    /// Chooses names for what a draft gains.
    fn choosing<T>(&self, draft: &mut Draft, choose: impl FnOnce(&mut NewNames<'_, '_>) -> T) -> T {
        let mut names = NewNames::new(self, &draft.to.schema);
        names.chosen = std::mem::take(&mut draft.chosen);
        names.freed.clone_from(&draft.freed);
        let chosen = choose(&mut names);
        draft.chosen = names.chosen;
        chosen
    }

    fn add_column(&mut self, draft: &mut Draft, definition: &ast::ColumnDefinition) -> Result<()> {
        check_column_name(&definition.name.value)?;
        draft.check_new_column(&definition.name)?;
        if draft.to.visible().count() >= COLUMNS_MAX {
            return Err(Error::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
        }
        let id = draft.to.next_column_id;
        if serial(&definition.ty).is_none() {
            // PostgreSQL tells where a type is that there is none of, and nothing else.
            self.column_type(&definition.ty, &definition.name.value)?;
        }
        let (schema, table) = (draft.to.schema.clone(), draft.to.name.clone());
        let column = self.new_column(&table, definition, id).map_err(unplaced)?;
        draft.to.next_column_id = id.saturating_add(1);
        let sequence = self.sequence_of(&schema, &column, definition, |binder| {
            binder.choosing(draft, |names| names.choose(&table, std::slice::from_ref(&column.name), "seq"))
        })?;
        // All rows get numbers.
        draft.rewrites |= sequence.is_some();
        let is_own = sequence.is_none() && definition.generations.is_empty();
        let is_of_domain = is_own && column.ty.kind.is_domain();
        draft.sequences.extend(sequence);
        if column.default.is_some() || is_of_domain {
            let default = self.default_of(&draft.to, &column)?;
            // What a domain refuses is refused where there are rows.
            draft.rewrites |= is_of_domain || default.volatility() == Volatility::Volatile;
            draft.added.insert(id, default);
        }
        if column.not_null {
            draft.not_null.insert(id);
        }
        let place = draft.to.row_id().unwrap_or(draft.to.columns.len());
        draft.to.columns.insert(place, column);
        if !definition.generations.is_empty() {
            self.generate(&table, &mut draft.to.columns, std::slice::from_ref(definition))
                .map_err(unplaced)?;
            draft.generated.insert(id);
            draft.rewrites = true;
        }
        Ok(())
    }

    fn drop_column(&mut self, draft: &mut Draft, name: &Name, if_exists: bool, cascade: bool) -> Result<()> {
        let Some(place) = draft.to.column_by_name(&name.value) else {
            system_column::check_altered(name, "drop")?;
            let error = draft.no_column(name);
            if !if_exists {
                return Err(error);
            }
            let message = format!("{}, skipping", error.message);
            self.notices.push(Notice::notice("00000", message));
            return Ok(());
        };
        let Some(id) = draft.to.columns.get(place).map(|column| column.id) else { return Ok(()) };
        self.remove(draft, Address::Column(draft.to.oid, id), cascade)
    }

    /// ALTER COLUMN … DROP EXPRESSION: its values stay.
    fn drop_expression(&mut self, draft: &mut Draft, name: &Name, if_exists: bool) -> Result<()> {
        let place = draft.column(name)?;
        if draft.to.columns.get(place).is_none_or(|column| column.generated.is_none()) {
            let error = draft.not_now(name, "is not a stored generated column");
            if !if_exists {
                return Err(error);
            }
            self.notices.push(Notice::notice("00000", format!("{}, skipping", error.message)));
            return Ok(());
        }
        draft.change_column(place, |column| column.generated = None);
        Ok(())
    }

    /// Takes a part of the table away, and what goes with that.
    fn remove(&mut self, draft: &mut Draft, part: Address, cascade: bool) -> Result<()> {
        let removal = self.removal(draft, part);
        self.take_away(draft, part, &removal, cascade)
    }

    /// What goes with a part of the table, or what belongs to one, as the table is by now.
    fn removal(&self, draft: &Draft, part: Address) -> Removal {
        let catalog = self.catalog.with_table(Arc::new(draft.to.clone()));
        let mut removal = removal::removal(&catalog, &[part]);
        removal.forget(&draft.removed);
        removal
    }

    fn take_away(
        &mut self,
        draft: &mut Draft,
        part: Address,
        removal: &Removal,
        cascade: bool,
    ) -> Result<()> {
        let catalog = self.catalog.with_table(Arc::new(draft.to.clone()));
        let told = removal.judge(&catalog, self.settings.search_path, &[part], cascade)?;
        self.notices.extend(told);
        for address in &removal.order {
            if address.table() == Some(draft.to.oid) {
                draft.remove(*address);
            } else {
                draft.removed.push(*address);
            }
        }
        Ok(())
    }

    fn add_constraint(&mut self, draft: &mut Draft, constraints: &TableConstraints) -> Result<()> {
        for key in &constraints.keys {
            if let Some(index) = &key.index {
                self.constraint_of_index(draft, key, index)?;
                continue;
            }
            let (table, columns) = (draft.to.name.clone(), draft.to.columns.clone());
            if key.primary && draft.primary_key().is_some() {
                let message = format!("multiple primary keys for table \"{table}\" are not allowed");
                return Err(Error::new("42P16", message));
            }
            let index =
                self.choosing(draft, |names| names.key_index(&table, &columns, key)).map_err(unplaced)?;
            if draft.to.constraints.is_named(&index.name) {
                return Err(duplicate_constraint(&table, &index.name));
            }
            draft.add_index(&index);
        }
        for definition in &constraints.checks {
            let (table, columns) = (draft.to.name.clone(), draft.to.columns.clone());
            let mut check = self.new_check(&table, &columns, definition).map_err(unplaced)?;
            if draft.is_constraint(&check.name) {
                return Err(duplicate_constraint(&table, &check.name));
            }
            self.choosing(draft, |names| names.name_check(&table, &columns, &mut check));
            if check.validated {
                draft.checks.insert(check.name.clone());
            }
            draft.to.constraints.checks.push(check);
        }
        for definition in &constraints.foreign_keys {
            let to = draft.to.clone();
            let own = Declaring {
                oid: to.oid,
                schema: &to.schema,
                name: &to.name,
                columns: &to.columns,
                keys: keys_of(&to.indexes),
            };
            let (chosen, freed) = (draft.chosen.clone(), draft.freed.clone());
            let key = self.new_foreign_key(&own, definition, |binder, columns| {
                let mut names = NewNames::new(binder, &to.schema);
                (names.chosen, names.freed) = (chosen, freed);
                names.foreign_key(&to.name, columns)
            })?;
            if draft.is_constraint(&key.name) {
                return Err(duplicate_constraint(&to.name, &key.name));
            }
            draft.chosen.push(key.name.clone());
            if key.validated {
                draft.verified.push(key.name.clone());
            }
            draft.to.constraints.foreign_keys.push(key);
        }
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        draft: &mut Draft,
        name: &Name,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        if !draft.is_constraint(&name.value) {
            let error = draft.no_constraint(name);
            if !if_exists {
                return Err(error);
            }
            self.notices.push(Notice::notice("00000", format!("{}, skipping", error.message)));
            return Ok(());
        }
        let Some(oid) = draft.to.constraint_named(&name.value) else { return Ok(()) };
        self.remove(draft, Address::Constraint(draft.to.oid, oid), cascade)
    }

    /// What has to be done, once the draft is what the table becomes.
    fn finish_alter(&mut self, mut draft: Draft) -> Result<AlterTable> {
        if draft.to.indexes.first().is_none_or(|index| !index.primary) {
            draft.to.columns.push(row_id_column());
            draft.add_index(&NewIndex::over_row_id());
        }
        let mut checks = Vec::with_capacity(draft.checks.len());
        for check in draft.to.constraints.checks.iter().filter(|check| draft.checks.contains(&check.name)) {
            checks.push(self.bound_check(&draft.to.name, &draft.to.columns, check)?);
        }
        let rewrite =
            draft.rewrites.then(|| draft.to.columns.iter().map(|column| draft.value(column)).collect());
        if draft.rewrites {
            forget_other_types(&draft.from, &mut draft.to);
        }
        let missing = missing_values(&draft.to, std::mem::take(&mut draft.added));
        let generated = self.generated_columns(&draft.to, |id| draft.generated.contains(&id))?;
        Ok(AlterTable {
            from: draft.from,
            to: draft.to,
            missing,
            rewrite,
            generated,
            verify: Verify { not_null: draft.not_null, checks, foreign_keys: draft.verified },
            removed: draft.removed,
            sequences: draft.sequences,
            identities: draft.identities,
            owner: draft.owner,
            only_renames: false,
            tag: "ALTER TABLE",
        })
    }
}

/// What rows lack that were written before their columns were there is not of the type that a column gets by being written anew.
fn forget_other_types(from: &TableDescriptor, to: &mut TableDescriptor) {
    for column in &mut to.columns {
        let before = from.columns.iter().find(|before| before.id == column.id);
        if before.is_none_or(|before| before.ty != column.ty) {
            column.missing = None;
        }
    }
}

/// What rows lack of new columns, where it is the same for all. Where rows are written anew, too: those of the past are not.
fn missing_values(to: &TableDescriptor, added: BTreeMap<ColumnId, Expr>) -> Vec<(ColumnId, Expr)> {
    let is_of_domain = |id: ColumnId| {
        let place = to.column_by_id(id);
        place.and_then(|place| to.columns.get(place)).is_some_and(|column| column.ty.kind.is_domain())
    };
    let is_one =
        |(id, value): &(ColumnId, Expr)| value.volatility() != Volatility::Volatile && !is_of_domain(*id);
    added.into_iter().filter(is_one).collect()
}

/// An action that only tables with rows take.
fn refused(relation: &TableDescriptor, action: Option<&AlterAction>) -> Error {
    let word = relation.kind.word();
    let shown = match action {
        Some(AlterAction::WithoutEffect { shown, .. }) => shown,
        Some(AlterAction::AddColumn { .. }) => "ADD COLUMN",
        Some(AlterAction::DropColumn { .. }) => "DROP COLUMN",
        Some(AlterAction::DropExpression { .. }) => "ALTER COLUMN ... DROP EXPRESSION",
        Some(AlterAction::SetNotNull { not_null: true, .. }) => "ALTER COLUMN ... SET NOT NULL",
        Some(AlterAction::SetNotNull { .. }) => "ALTER COLUMN ... DROP NOT NULL",
        Some(AlterAction::SetType { .. }) => "ALTER COLUMN ... SET DATA TYPE",
        Some(AlterAction::AddConstraint(_)) => "ADD CONSTRAINT",
        Some(AlterAction::DropConstraint { .. }) => "DROP CONSTRAINT",
        Some(AlterAction::Validate(_)) => "VALIDATE CONSTRAINT",
        Some(AlterAction::AlterConstraint { .. }) => "ALTER CONSTRAINT",
        Some(AlterAction::Identity { action: IdentityAction::Add(_), .. }) => "ALTER COLUMN ... ADD IDENTITY",
        Some(AlterAction::Identity { action: IdentityAction::Set { .. }, .. }) => "ALTER COLUMN ... SET",
        Some(AlterAction::Identity { .. }) => "ALTER COLUMN ... DROP IDENTITY",
        Some(AlterAction::RowSecurity(change)) => match change {
            RowSecurityChange::Enable => "ENABLE ROW SECURITY",
            RowSecurityChange::Disable => "DISABLE ROW SECURITY",
            RowSecurityChange::Force => "FORCE ROW SECURITY",
            RowSecurityChange::NoForce => "NO FORCE ROW SECURITY",
        },
        Some(AlterAction::SetDefault { .. }) if relation.kind != TableKind::View => {
            "ALTER COLUMN ... SET DEFAULT"
        }
        Some(AlterAction::Audit(_)) => {
            return Error::unsupported(format!("the parameter audit of a {word}"));
        }
        // A view has them.
        Some(AlterAction::SetDefault { .. }) => {
            return Error::unsupported("ALTER COLUMN DEFAULT of a view together with other actions");
        }
        Some(AlterAction::RenameColumn { .. }) => {
            return Error::unsupported(format!("ALTER TABLE RENAME COLUMN of a {word}"));
        }
        _ => return Error::new("42809", format!("\"{}\" is not a table", relation.name)),
    };
    let message = format!("ALTER action {shown} cannot be performed on relation \"{}\"", relation.name);
    Error::new("42809", message).detail(format!("This operation is not supported for {word}s."))
}
