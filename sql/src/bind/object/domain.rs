//! CREATE DOMAIN and ALTER DOMAIN, and what becomes of an expression that is to be a value of a domain.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::casts::CastContext;
use expr::print::Style;
use expr::tree::Domain;
use expr::{Expr, Type, TypeKind};

use super::{Bound, change, nothing, unplaced};
use crate::bind::check::apart;
use crate::bind::{Binder, SessionSettings};
use crate::catalog::object::TypeDescriptor;
use crate::catalog::object::types::{DomainCheck, DomainDescriptor};
use crate::catalog::{CatalogSnapshot, Column, Oid, SearchPath, TableDescriptor, TableKind, called, spelled};
use crate::error::{Error, Notice, Result};
use crate::parse::{self, ast};
use crate::plan::{DomainColumns, ObjectChange, RowCheck, Target, TypeChange};

/// What conditions call the value.
const VALUE: &str = "VALUE";

/// The row that a condition is over.
fn row(ty: Type) -> [Column; 1] {
    [Column {
        id: 1,
        name: VALUE.to_lowercase(),
        ty,
        not_null: false,
        default: None,
        generated: None,
        hidden: false,
        missing: None,
    }]
}

/// The condition of a domain's check, less parentheses that make no difference; `None`: it is no condition over its values.
pub(crate) fn sparing_domain_condition(
    own: &DomainDescriptor,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    let expression = parse::parse_expression(kept).ok()?;
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let columns = row(Type::plain(own.base.kind));
    let printed = Binder::new(catalog, &settings).of_kept(|binder| {
        binder.as_written(Style::Sparing, vec![VALUE.to_owned()], |binder| {
            binder.check_condition("", &columns, &expression)
        })
    });
    Some(printed.ok()?.1)
}

/// What values of a domain, or of arrays of it, have to be: for the executor too. The first is the domain that is farthest
/// down. Beside them the type that all of them are over, with its modifier.
pub(crate) fn judges(kind: TypeKind, catalog: &CatalogSnapshot) -> Result<(Type, Vec<Arc<Domain>>)> {
    let of_elements = kind.element().is_some_and(TypeKind::is_domain) && kind.made_oid() != Some(kind.oid());
    let mut over = Type::plain(if of_elements { kind.element().unwrap_or(kind) } else { kind });
    let called = over.kind;
    let mut found = Vec::new();
    while let Some(own) = catalog.objects().domain(over.kind) {
        let mut checks: Vec<&DomainCheck> = own.checks.iter().collect();
        checks.sort_by(|left, right| left.name.cmp(&right.name));
        let base = Type::plain(own.like());
        let bind = |check: &&DomainCheck| -> Result<(String, Expr)> {
            let parsed = parse::parse_expression(&check.expression)?;
            let condition = apart(catalog, |binder| binder.check_condition("", &row(base), &parsed))?;
            Ok((check.name.clone(), condition))
        };
        found.push(Arc::new(Domain {
            name: called.display_name().to_owned(),
            not_null: own.not_null,
            checks: checks.iter().map(bind).collect::<Result<_>>()?,
            of_elements,
        }));
        over = own.base;
    }
    found.reverse();
    let kind = if of_elements { over.kind.array().unwrap_or(over.kind) } else { over.kind };
    Ok((Type { kind, modifier: over.modifier }, found))
}

/// What the values of each column of a table have to be, where its type is a domain, or arrays of one.
pub(crate) fn domains_of(
    table: &TableDescriptor,
    catalog: &CatalogSnapshot,
) -> Result<Vec<Vec<Arc<Domain>>>> {
    let of = |column: &Column| match column.ty.kind == column.ty.kind.base() {
        true => Ok(Vec::new()),
        false => judges(column.ty.kind, catalog).map(|(_, domains)| domains),
    };
    table.columns.iter().map(of).collect()
}

impl Binder<'_> {
    /// The expression as a value of a domain, or of arrays of one.
    pub(in crate::bind) fn as_domain(
        &self,
        expr: Expr,
        to: Type,
        context: CastContext,
        is_written: bool,
    ) -> expr::Result<Expr> {
        let (base, domains) = judges(to.kind, self.catalog)
            .map_err(|error| expr::Error::new(error.sqlstate, error.message.clone()))?;
        let expr = expr.into_base();
        let given = expr.ty();
        // An element that a literal says is too long is refused, be it cast in so many words.
        let is_element = given.kind == TypeKind::Unknown && !to.kind.is_domain();
        let reading = if is_element { CastContext::Assignment } else { context };
        let mut inner = self.convert(expr, base, reading)?;
        if is_written {
            return Ok(self.as_written_domain(inner, (given, base, to), context));
        }
        if let Expr::Literal { value, .. } = &inner
            && is_element
            && !self.reads_kept
            && !self.is_within_known()
        {
            let session = self.session_of_literals();
            domains.iter().try_for_each(|domain| domain.judge(value, &session))?;
        }
        for domain in domains {
            inner = Expr::Checked { operand: Box::new(inner), domain, ty: to };
        }
        Ok(inner)
    }

    /// What was of a type and has become one of what a domain is over, as a value of that domain where it is printed: nobody
    /// wrote what was done on the way.
    fn as_written_domain(
        &self,
        inner: Expr,
        (given, base, to): (Type, Type, Type),
        context: CastContext,
    ) -> Expr {
        let is_as_given = given == base || given.kind == base.kind && base.modifier < 0;
        let inner = match inner {
            Expr::Cast { operand, .. } if given.kind == TypeKind::Unknown && !to.kind.is_domain() => *operand,
            Expr::Cast { operand, to, .. } if !is_as_given => Expr::Cast { operand, to, explicit: false },
            Expr::Row { fields, shape, .. } if given.kind == TypeKind::Record => {
                self.row_as(fields, shape, base, CastContext::Implicit)
            }
            inner => inner,
        };
        match inner {
            // A literal is read as arrays of domains at once.
            Expr::Literal { value, .. } if given.kind == TypeKind::Unknown && !to.kind.is_domain() => {
                Expr::Literal { value, ty: to }
            }
            inner => {
                let explicit = context == CastContext::Explicit;
                Expr::Cast { operand: Box::new(inner), to, explicit }
            }
        }
    }

    /// What a column of a domain holds that is given nothing.
    pub(in crate::bind) fn domain_default(&mut self, ty: Type) -> Result<Expr> {
        let mut own = self.catalog.objects().domain(ty.kind);
        while let Some(domain) = own {
            if let Some(text) = &domain.default {
                let parsed = parse::parse_expression(text)?;
                return self.of_kept(|binder| binder.default_expression(&parsed, ty, ""));
            }
            own = self.catalog.objects().domain(domain.base.kind);
        }
        Ok(self.convert(Expr::null(TypeKind::Unknown), ty, CastContext::Assignment)?)
    }

    pub(super) fn create_domain(&mut self, create: &ast::CreateDomain) -> Result<Bound> {
        let schema = self.type_schema(&create.name).map_err(unplaced)?;
        let name = &create.name.name.value;
        self.check_type_name(&schema, name)?;
        if self.catalog.table(&schema, name).is_some() {
            return Err(super::made_type::taken(name));
        }
        let base = self.type_of(&create.ty)?;
        if !base.kind.is_storable() {
            let message = format!("\"{}\" is not a valid base type for a domain", base.display_name());
            return Err(Error::new("42804", message).at(create.ty.at));
        }
        let mut made =
            DomainDescriptor { base, default: None, not_null: create.not_null, checks: Vec::new() };
        if let Some(default) = &create.default {
            self.default_expression(&default.expr, base, name)?;
            made.default = self.kept_default(default, base, name)?;
            self.check_names_no_type(made.default.as_deref())?;
        }
        for check in &create.checks {
            self.add_domain_check(&mut made, name, check)?;
        }
        let made = TypeDescriptor::Domain(made);
        change(ObjectChange::Type(TypeChange::Create { schema, name: name.clone(), made }))
    }

    /// 0A000 if a text of a domain names a type or a function that was made: it would not follow what becomes of that.
    fn check_names_no_type(&self, text: Option<&str>) -> Result<()> {
        if text.is_some_and(|text| !called::functions_in(text).is_empty()) {
            return Err(Error::unsupported(
                "a domain whose condition or default calls a function that was made",
            ));
        }
        let names = |kind: &TypeKind| text.is_some_and(|text| spelled::names(text, kind.display_name()));
        let mut kinds = self.catalog.objects().types().filter_map(|(object, _)| object.kind());
        match kinds.find(names) {
            Some(kind) => {
                let what = format!("a domain whose condition or default names type {}", kind.display_name());
                Err(Error::unsupported(what))
            }
            None => Ok(()),
        }
    }

    /// Adds a check, named if need be.
    fn add_domain_check(
        &mut self,
        own: &mut DomainDescriptor,
        domain: &str,
        check: &ast::CheckDefinition,
    ) -> Result<()> {
        self.check_condition("", &row(Type::plain(own.like())), &check.condition.expr)?;
        let columns = row(Type::plain(own.base.kind));
        let (_, expression) = self.as_written(Style::Full, vec![VALUE.to_owned()], |binder| {
            binder.check_condition("", &columns, &check.condition.expr)
        })?;
        self.check_names_no_type(Some(&expression))?;
        let expression = self.by_oid(&expression);
        let name = match &check.name {
            Some(name) if own.check_named(&name.value).is_some() => {
                let message = format!("constraint \"{}\" for domain \"{domain}\" already exists", name.value);
                return Err(Error::new("42710", message));
            }
            Some(name) => name.value.clone(),
            None => {
                let mut names = (0_u32..).map(|number| match number {
                    0 => format!("{domain}_check"),
                    number => format!("{domain}_check{number}"),
                });
                names.find(|name| own.check_named(name).is_none()).unwrap_or_default()
            }
        };
        own.checks.push(DomainCheck { oid: 0, name, expression, validated: !check.not_valid });
        Ok(())
    }

    pub(super) fn alter_domain(&mut self, alter: &ast::AlterDomain) -> Result<Bound> {
        let Target::Type { kind } = self.type_target(&alter.name)? else {
            return Err(Error::internal("a type that is none"));
        };
        let Some(own) = self.catalog.objects().domain(kind).filter(|_| kind.is_domain()) else {
            return Err(Error::new("42809", format!("{} is not a domain", kind.display_name())));
        };
        let mut own = own.clone();
        let name = kind.display_name();
        let missing = |constraint: &str| {
            Error::new("42704", format!("constraint \"{constraint}\" of domain \"{name}\" does not exist"))
        };
        let (mut not_null, mut added) = (false, None);
        match &alter.action {
            ast::DomainAction::SetDefault(None) => own.default = None,
            ast::DomainAction::SetDefault(Some(default)) => {
                self.default_expression(&default.expr, own.base, name)?;
                own.default = self.kept_default(default, own.base, name)?;
                self.check_names_no_type(own.default.as_deref())?;
            }
            ast::DomainAction::NotNull(wanted) => {
                not_null = *wanted && !own.not_null;
                own.not_null = *wanted;
            }
            ast::DomainAction::Add(check) => {
                let bare = &alter.name.name.value;
                self.add_domain_check(&mut own, bare, check)?;
                added = own.checks.last().filter(|_| !check.not_valid).cloned();
            }
            ast::DomainAction::Drop { name: constraint, if_exists } => {
                let before = own.checks.len();
                own.checks.retain(|check| check.name != constraint.value);
                if own.checks.len() == before {
                    let error = missing(&constraint.value);
                    if !if_exists {
                        return Err(error);
                    }
                    self.notices.push(Notice::notice("00000", format!("{}, skipping", error.message)));
                    return nothing("ALTER DOMAIN");
                }
            }
            ast::DomainAction::Rename { from, to } => {
                if own.check_named(&to.value).is_some() {
                    let message = format!("constraint \"{}\" for domain {name} already exists", to.value);
                    return Err(Error::new("42710", message));
                }
                let check = own.checks.iter_mut().find(|check| check.name == from.value);
                let check = check.ok_or_else(|| {
                    let message = format!("constraint \"{}\" for domain {name} does not exist", from.value);
                    Error::new("42704", message)
                })?;
                to.value.clone_into(&mut check.name);
            }
            ast::DomainAction::Validate(constraint) => {
                let check = own.checks.iter_mut().find(|check| check.name == constraint.value);
                let check = check.ok_or_else(|| missing(&constraint.value))?;
                check.validated = true;
                added = Some(check.clone());
            }
        }
        let verify = self.verified_tables(kind, own.like(), not_null, added.as_ref())?;
        let made = TypeDescriptor::Domain(own);
        change(ObjectChange::Type(TypeChange::AlterDomain { oid: kind.oid(), made, verify }))
    }

    /// The tables with columns of a domain, with what has to be found true of them.
    fn verified_tables(
        &mut self,
        kind: TypeKind,
        like: TypeKind,
        not_null: bool,
        added: Option<&DomainCheck>,
    ) -> Result<Vec<DomainColumns>> {
        let mut verified = Vec::new();
        if !not_null && added.is_none() {
            return Ok(verified);
        }
        let condition = match added {
            Some(check) => {
                let parsed = parse::parse_expression(&check.expression)?;
                let over = row(Type::plain(like));
                Some(self.of_kept(|binder| binder.check_condition("", &over, &parsed))?)
            }
            None => None,
        };
        self.verify_of(kind, not_null, condition.as_ref(), &mut verified)?;
        Ok(verified)
    }

    /// What depends on the domain is looked through in the order in which it was made, as PostgreSQL does.
    ///
    /// # Errors
    /// 0A000: its values stand within others.
    fn verify_of(
        &self,
        domain: TypeKind,
        not_null: bool,
        condition: Option<&Expr>,
        verified: &mut Vec<DomainColumns>,
    ) -> Result<()> {
        let within = |column: String| {
            let name = domain.display_name();
            let message = format!("cannot alter type \"{name}\" because column \"{column}\" uses it");
            Err(Error::new("0A000", message))
        };
        let mut known = BTreeSet::new();
        if let Some(column) = domain.array().and_then(|array| self.column_holding(array, &mut known)) {
            return within(column);
        }
        for dependent in self.made_of(domain) {
            match dependent {
                Dependent::Type(over) if over.is_domain() => {
                    self.verify_of(over, not_null, condition, verified)?;
                }
                Dependent::Type(around) => {
                    if let Some(column) = self.column_holding(around, &mut known) {
                        return within(column);
                    }
                }
                Dependent::Table(table) if table.kind == TableKind::Base => {
                    verified.push(columns_of(domain, table, not_null, condition));
                }
                Dependent::Table(_) => {}
            }
        }
        Ok(())
    }

    /// The first column that holds values of a type, be it within others; `known` are the types that no column holds.
    fn column_holding(&self, kind: TypeKind, known: &mut BTreeSet<Oid>) -> Option<String> {
        if !known.insert(kind.oid()) {
            return None;
        }
        if let Some(column) = kind.array().and_then(|array| self.column_holding(array, known)) {
            return Some(column);
        }
        self.made_of(kind).into_iter().find_map(|dependent| match dependent {
            Dependent::Type(around) => self.column_holding(around, known),
            Dependent::Table(table) => {
                let column = table.columns.iter().find(|column| column.ty.kind.is_same(kind))?;
                Some(format!("{}.{}", table.name, column.name))
            }
        })
    }

    /// What has attributes or columns of a type, or is over it, the oldest first.
    fn made_of(&self, kind: TypeKind) -> Vec<Dependent<'_>> {
        let is_of = |ty: &Type| ty.kind.is_same(kind);
        let types = self.catalog.objects().types().filter_map(|(object, made)| {
            let is_made_of = match made {
                TypeDescriptor::Composite(own) => own.attributes.types().iter().any(is_of),
                TypeDescriptor::Domain(own) => is_of(&own.base),
                TypeDescriptor::Range(own) => own.subtype.is_same(kind),
                TypeDescriptor::Enum(_) => false,
            };
            Some((object.oid, Dependent::Type(object.kind().filter(|_| is_made_of)?)))
        });
        let tables = self.catalog.tables().filter(|table| table.kind.is_stored());
        let tables = tables.filter(|table| table.columns.iter().any(|column| is_of(&column.ty)));
        let mut found: Vec<_> =
            types.chain(tables.map(|table| (table.oid, Dependent::Table(table)))).collect();
        found.sort_by_key(|(oid, _)| *oid);
        found.into_iter().map(|(_, dependent)| dependent).collect()
    }
}

/// What is made of a type.
enum Dependent<'a> {
    /// A composite type, a range, or a domain.
    Type(TypeKind),
    /// A table.
    Table(&'a Arc<TableDescriptor>),
}

/// What has to be found true of the columns of a domain.
fn columns_of(
    domain: TypeKind,
    table: &Arc<TableDescriptor>,
    not_null: bool,
    condition: Option<&Expr>,
) -> DomainColumns {
    let mut own = DomainColumns { table: table.clone(), not_null: BTreeSet::new(), checks: Vec::new() };
    let columns = table.columns.iter().enumerate();
    for (place, column) in columns.filter(|(_, column)| column.ty.kind.is_same(domain)) {
        if not_null {
            own.not_null.insert(column.id);
        }
        if let Some(condition) = condition {
            let condition = condition.clone().map_columns(&|_| place);
            own.checks.push(RowCheck { name: column.name.clone(), condition });
        }
    }
    own
}
