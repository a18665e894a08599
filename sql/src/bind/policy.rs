//! CREATE, ALTER and DROP POLICY.

use std::sync::Arc;

use expr::print::Style;
use expr::{Expr, SessionContext};

use super::definition::{Bound, ddl, unplaced};
use super::from::shown;
use super::level::{Clause, Level, PutAside};
use super::object::WithinView;
use super::row_expression::{has_named_fields, quoted_names};
use super::scope::{Relation, Scope, ScopeColumn};
use super::{Binder, SessionSettings};
use crate::catalog::access::{PUBLIC_ROLE, Right};
use crate::catalog::object::{ObjectBody, ObjectDescriptor};
use crate::catalog::{
    CatalogSnapshot, Column, Oid, Policy, PolicyCommand, PolicyCondition, SearchPath, TableDescriptor,
    ViewDescriptor, ViewOptions, called, spelled,
};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{self, PolicyAction, PolicyConditions, PolicyStatement, RoleReference};
use crate::plan::{AlterTable, Ddl, NO_OID};

/// The clause that a policy's conditions stand in.
pub(super) const POLICY: Clause = Clause::plain("policy expressions");

/// A condition of a policy as it is shown: with the names of now, as far as it has no subqueries.
pub(crate) fn policy_text(
    table: &TableDescriptor,
    condition: &PolicyCondition,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> String {
    let kept = &condition.written.query;
    let context: SessionContext = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let mut binder = Binder::new(catalog, &settings);
    if condition.asks {
        let text = parse::with_names(kept, |oid| binder.name_of(oid));
        return called::by_name(catalog, search_path, &text);
    }
    let printed = binder.of_kept(|binder| {
        binder.as_written(Style::Full, quoted_names(&table.columns), |binder| {
            let parsed = parse::parse_expression(kept)?;
            let before = binder.within_view.replace(WithinView::Known(Arc::new(as_view(table, condition))));
            let scope = policy_row(table, condition, Some);
            let bound = binder.policy_condition(scope, &parsed);
            binder.within_view = before;
            Ok(bound?.0)
        })
    });
    let text = printed.map_or_else(|_lost| kept.clone(), |(_, text)| text);
    let text = parse::with_names(&text, |oid| binder.name_of(oid));
    spelled::by_name(catalog, search_path, &text)
}

/// What the names in a policy's condition meant when it was written, as those of a view's query.
pub(super) fn as_view(table: &TableDescriptor, condition: &PolicyCondition) -> ObjectDescriptor {
    ObjectDescriptor {
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        body: ObjectBody::View(condition.written.clone()),
    }
}

/// The names of a row of a policy's table, as they were when its condition was written; `place_of` tells where a column of
/// the table stands in the row at hand.
pub(super) fn policy_row(
    table: &TableDescriptor,
    condition: &PolicyCondition,
    place_of: impl Fn(usize) -> Option<usize>,
) -> Scope {
    let columns = condition.columns.iter().filter_map(|(id, name)| {
        let place = table.column_by_id(*id)?;
        let ty = table.columns.get(place)?.ty;
        let value = Expr::Column { index: place_of(place)?, ty };
        Some(ScopeColumn { name: name.clone(), value, origin: None })
    });
    Relation {
        name: condition.table.clone(),
        schema: None,
        columns: columns.collect(),
        table: None,
        beside: Vec::new(),
        unseen: Vec::new(),
        nullable: false,
        is_working: false,
    }
    .into_scope()
}

impl Binder<'_> {
    /// CREATE POLICY, ALTER POLICY, DROP POLICY.
    pub(super) fn policy_statement(&mut self, statement: &PolicyStatement) -> Result<Bound> {
        let not_so =
            |table: &TableDescriptor| Error::new("42809", format!("\"{}\" is not a table", table.name));
        let name = statement.name.value.as_str();
        let table = match self.stored_table(&statement.table, not_so) {
            Ok(table) => table,
            Err(error) if error.sqlstate == "42P01" && statement.skips_missing() => {
                let message = format!("relation \"{}\" does not exist, skipping", shown(&statement.table));
                self.notices.push(Notice::notice("00000", message));
                return ddl(Ddl::Nothing { tag: statement.tag() });
            }
            Err(error) => return Err(unplaced(error)),
        };
        let known = table.row_security.named(name).cloned();
        let missing =
            || Error::new("42704", format!("policy \"{name}\" for table \"{}\" does not exist", table.name));
        let mut to = TableDescriptor::clone(&table);
        match &statement.action {
            PolicyAction::Create { permissive, command, roles, conditions } => {
                check_conditions(*command, conditions)?;
                let policy = Policy {
                    oid: NO_OID,
                    name: name.to_owned(),
                    permissive: *permissive,
                    command: *command,
                    roles: self.policy_roles(roles)?,
                    using: self.new_condition(&table, conditions.using.as_ref())?,
                    check: self.new_condition(&table, conditions.check.as_ref())?,
                };
                if known.is_some() {
                    let message = format!("policy \"{name}\" for table \"{}\" already exists", table.name);
                    return Err(Error::new("42710", message));
                }
                to.row_security.put(policy);
            }
            PolicyAction::Alter { roles, conditions } => {
                let mut policy = known.ok_or_else(missing)?;
                check_changed_conditions(policy.command, conditions)?;
                if let Some(roles) = roles {
                    policy.roles = self.policy_roles(roles)?;
                }
                let using = self.new_condition(&table, conditions.using.as_ref())?;
                let check = self.new_condition(&table, conditions.check.as_ref())?;
                policy.using = using.or(policy.using);
                policy.check = check.or(policy.check);
                to.row_security.put(policy);
            }
            PolicyAction::Rename { to: new } => {
                if table.row_security.named(&new.value).is_some() {
                    let message =
                        format!("policy \"{}\" for table \"{}\" already exists", new.value, table.name);
                    return Err(Error::new("42710", message));
                }
                let mut policy = known.ok_or_else(missing)?;
                to.row_security.policies.retain(|own| own.name != name);
                policy.name.clone_from(&new.value);
                to.row_security.put(policy);
            }
            PolicyAction::Drop { if_exists } => {
                if known.is_none() && *if_exists {
                    let message =
                        format!("policy \"{name}\" for relation \"{}\" does not exist, skipping", table.name);
                    self.notices.push(Notice::notice("00000", message));
                    return ddl(Ddl::Nothing { tag: statement.tag() });
                }
                known.ok_or_else(missing)?;
                to.row_security.policies.retain(|own| own.name != name);
            }
        }
        ddl(Ddl::AlterTable(Box::new(AlterTable {
            only_renames: true,
            tag: statement.tag(),
            ..AlterTable::plain(table, to)
        })))
    }

    /// The roles that a policy binds.
    fn policy_roles(&mut self, roles: &[RoleReference]) -> Result<Vec<Oid>> {
        let access = self.catalog.access();
        let is_public = |role: &RoleReference| matches!(role, RoleReference::Public(_));
        if roles.is_empty() || roles.iter().any(is_public) {
            if roles.len() > 1 {
                let mut warning =
                    Notice::warning("22023", "ignoring specified roles other than PUBLIC".to_owned());
                warning.hint = Some("All roles are members of the PUBLIC role.".to_owned());
                self.notices.push(warning);
            }
            return Ok(vec![PUBLIC_ROLE]);
        }
        let context = self.settings.context;
        let named = |role: &RoleReference| {
            let name = match role {
                RoleReference::Named(name) => name.value.as_str(),
                RoleReference::CurrentUser => &*context.current_user,
                RoleReference::SessionUser => &*context.session_user,
                RoleReference::Public(_) => return Ok(PUBLIC_ROLE),
            };
            let found = access.role_named(name).map(|role| role.oid);
            found.ok_or_else(|| Error::new("42704", format!("role \"{name}\" does not exist")))
        };
        roles.iter().map(named).collect()
    }

    /// A condition as it is kept.
    fn new_condition(
        &mut self,
        table: &Arc<TableDescriptor>,
        written: Option<&ast::DefaultDefinition>,
    ) -> Result<Option<PolicyCondition>> {
        let Some(written) = written else { return Ok(None) };
        self.only_keeps = true;
        self.types_named.borrow_mut().clear();
        let needs = std::mem::take(&mut self.needs);
        self.needs.add(table, Right::Select);
        let visible: Vec<&Column> = table.visible().map(|(_, column)| column).collect();
        let mut condition = PolicyCondition {
            written: ViewDescriptor {
                columns: Vec::new(),
                query: written.text.clone(),
                relations: Vec::new(),
                grouped_by: Vec::new(),
                options: ViewOptions::default(),
                types: Vec::new(),
                pinned: Vec::new(),
            },
            table: table.name.clone(),
            columns: visible.iter().map(|column| (column.id, column.name.clone())).collect(),
            read: Vec::new(),
            asks: false,
        };
        let mut scope = policy_row(table, &condition, Some);
        let origins = |columns: &mut Vec<ScopeColumn>| {
            for (column, own) in columns.iter_mut().zip(&visible) {
                column.origin = i16::try_from(own.id).ok().map(|number| (table.oid, number));
            }
        };
        origins(&mut scope.columns);
        scope.relations.iter_mut().for_each(|relation| origins(&mut relation.columns));
        let outer = self.within_view.replace(WithinView::New(Vec::new()));
        self.views_deep = self.views_deep.saturating_add(1);
        let bound = self.policy_condition(scope, &written.expr).map_err(unplaced);
        self.views_deep = self.views_deep.saturating_sub(1);
        let within = std::mem::replace(&mut self.within_view, outer);
        condition.written.grouped_by = std::mem::take(&mut self.grouped_by);
        let own = std::mem::replace(&mut self.needs, needs);
        self.needs.name_too(own.clone());
        let (bound, level) = bound?;
        condition.asks = !level.subqueries.is_empty() || has_named_fields(&bound);
        condition.read = own.columns_read(table.oid);
        if let Some(WithinView::New(relations)) = within {
            condition.written.relations = relations;
            for relation in &mut condition.written.relations {
                relation.read = own.columns_read(relation.oid);
            }
        }
        condition.written.types = std::mem::take(&mut *self.types_named.borrow_mut()).into_iter().collect();
        if condition.asks {
            condition.written.query = self.pinned_condition(table, &condition);
        } else {
            let columns = table.columns.clone();
            let bind = |binder: &mut Self, _: &[Column], again: &ast::Expr| {
                Ok(binder.policy_condition(policy_row(table, &condition, Some), again)?.0)
            };
            condition.written.query =
                self.kept_over_row(&columns, &columns, written, "this policy expression", bind)?.text;
        }
        condition.written.pinned = parse::relations_in(&condition.written.query);
        Ok(Some(condition))
    }

    /// The text of a new condition as it is kept: relations in literals of regclass stand there by oid.
    fn pinned_condition(&self, table: &TableDescriptor, condition: &PolicyCondition) -> String {
        let text = &condition.written.query;
        let mut binder = Binder {
            edits: Some(Vec::new()),
            within_view: Some(WithinView::New(Vec::new())),
            views_deep: 1,
            ..Binder::new(self.catalog, self.settings)
        };
        let parsed = parse::parse_expression(text);
        let scope = policy_row(table, condition, Some);
        match parsed.and_then(|parsed| binder.policy_condition(scope, &parsed)) {
            Ok(_) => parse::edited(text, binder.taken_edits()),
            Err(_) => text.clone(),
        }
    }

    /// A condition over a row of these names, and what its subqueries leave to be computed.
    pub(super) fn policy_condition(&mut self, scope: Scope, condition: &ast::Expr) -> Result<(Expr, Level)> {
        let level = Level::query(scope, POLICY, false);
        let (bound, level) = self.without_parameters(|binder| {
            binder.at_level(level, |binder| {
                let bound = binder.expression(condition)?;
                binder.condition(bound, "POLICY", condition.at)
            })
        })?;
        if level.subqueries.iter().any(|aside| matches!(aside, PutAside::Rows(_))) {
            let message = format!("set-returning functions are not allowed in {}", POLICY.name);
            return Err(Error::new("0A000", message).at(condition.at));
        }
        Ok((bound, level))
    }
}

impl PolicyStatement {
    fn tag(&self) -> &'static str {
        match self.action {
            PolicyAction::Create { .. } => "CREATE POLICY",
            PolicyAction::Alter { .. } | PolicyAction::Rename { .. } => "ALTER POLICY",
            PolicyAction::Drop { .. } => "DROP POLICY",
        }
    }

    fn skips_missing(&self) -> bool {
        matches!(self.action, PolicyAction::Drop { if_exists: true })
    }
}

/// 42601: that makes no sense of what the policy is about.
fn check_conditions(command: PolicyCommand, conditions: &PolicyConditions) -> Result<()> {
    let reads = matches!(command, PolicyCommand::Select | PolicyCommand::Delete);
    if reads && conditions.check.is_some() {
        return Err(Error::new("42601", "WITH CHECK cannot be applied to SELECT or DELETE"));
    }
    if command == PolicyCommand::Insert && conditions.using.is_some() {
        return Err(Error::new("42601", "only WITH CHECK expression allowed for INSERT"));
    }
    Ok(())
}

/// The same of a policy that is there.
fn check_changed_conditions(command: PolicyCommand, conditions: &PolicyConditions) -> Result<()> {
    let reads = matches!(command, PolicyCommand::Select | PolicyCommand::Delete);
    if reads && conditions.check.is_some() {
        return Err(Error::new("42601", "only USING expression allowed for SELECT, DELETE"));
    }
    check_conditions(command, conditions)
}
