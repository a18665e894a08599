//! What goes with what is dropped, whether it may, and what is told of it.

use std::collections::{BTreeMap, BTreeSet};

use expr::TypeKind;

use super::called::signature;
use super::depend::{Address, Dependency, Tie, dependencies, temporary_dependencies};
use super::{CatalogSnapshot, ColumnId, Oid, SearchPath};
use crate::error::{Error, Notice, Result};

/// So many of those that go along are told by name.
const TOLD_MAX: usize = 100;

/// What goes when some objects are dropped.
#[derive(Debug, Default)]
pub struct Removal {
    /// All that goes, dependents before what they depend on.
    pub order: Vec<Address>,
    /// What of it nobody has asked for, and what it depends on; in the order in which it is told.
    cascaded: Vec<(Address, Address)>,
    /// What cannot be dropped by itself, and what it is a part of.
    bound: Option<(Address, Address)>,
}

/// What goes when these are dropped.
pub fn removal(catalog: &CatalogSnapshot, wanted: &[Address]) -> Removal {
    removal_among(catalog, &dependencies(catalog), wanted)
}

/// The same of temporary relations: only such ones go with them, and nothing else is looked at.
pub fn temporary_removal(catalog: &CatalogSnapshot, wanted: &[Address]) -> Removal {
    removal_among(catalog, &temporary_dependencies(catalog), wanted)
}

fn removal_among(catalog: &CatalogSnapshot, all: &[Dependency], wanted: &[Address]) -> Removal {
    let mut on: BTreeMap<Address, Vec<&Dependency>> = BTreeMap::new();
    for dependency in all {
        on.entry(dependency.on).or_default().push(dependency);
        // A column that depends on another of its table goes with the table anyhow.
        if let Some(whole) = dependency.on.whole().filter(|whole| dependency.of.whole() != Some(*whole)) {
            on.entry(whole).or_default().push(dependency);
        }
    }
    let mut removal = Removal::default();
    let mut reached: BTreeMap<Address, Option<Address>> = BTreeMap::new();
    for root in wanted {
        if reached.contains_key(root) {
            continue;
        }
        reached.insert(*root, None);
        // The dependents that are left of each that is under way.
        let mut stack = vec![(*root, dependents(catalog, &on, *root))];
        while let Some((address, left)) = stack.last_mut() {
            let address = *address;
            match left.pop() {
                Some(next) if reached.contains_key(&next) => {}
                Some(next) => {
                    reached.insert(next, Some(address));
                    stack.push((next, dependents(catalog, &on, next)));
                }
                None => {
                    removal.order.push(address);
                    stack.pop();
                }
            }
        }
    }
    let gone = |address: &Address| {
        reached.contains_key(address) || address.whole().is_some_and(|whole| reached.contains_key(&whole))
    };
    let silent: BTreeSet<Address> = all
        .iter()
        .filter(|dependency| dependency.tie != Tie::Normal && gone(&dependency.on))
        .map(|dependency| dependency.of)
        .chain(wanted.iter().copied())
        .collect();
    for address in removal.order.iter().rev() {
        if let Some(Some(via)) = reached.get(address)
            && !silent.contains(address)
        {
            removal.cascaded.push((*address, *via));
        }
    }
    removal.bound = all
        .iter()
        .find(|dependency| {
            dependency.tie == Tie::Internal && wanted.contains(&dependency.of) && !gone(&dependency.on)
        })
        .map(|dependency| (dependency.of, dependency.on));
    removal
}

/// What depends on it, the oldest first.
fn dependents(
    catalog: &CatalogSnapshot,
    on: &BTreeMap<Address, Vec<&Dependency>>,
    address: Address,
) -> Vec<Address> {
    let is_generated = |table: Oid, column: ColumnId| {
        let column =
            catalog.table_by_oid(table).and_then(|table| table.columns.get(table.column_by_id(column)?));
        column.is_some_and(|column| column.generated.is_some())
    };
    let mut found: Vec<Address> =
        on.get(&address).into_iter().flatten().map(|dependency| dependency.of).collect();
    // Columns of one table are told from the last to the first, but generated ones behind them, from the first to the last.
    found.sort_by_key(|address| match *address {
        Address::Column(table, column) if is_generated(table, column) => (table, true, column),
        Address::Column(table, column) => (table, false, ColumnId::MAX.saturating_sub(column)),
        address => {
            let (oid, number) = address.age();
            (oid, false, number)
        }
    });
    found.dedup();
    found
}

impl Removal {
    /// Leaves out what is gone already.
    pub fn forget(&mut self, gone: &[Address]) {
        self.order.retain(|address| !gone.contains(address));
        self.cascaded.retain(|(address, _)| !gone.contains(address));
    }

    /// Takes it for right that something goes by itself that is a part of something.
    pub fn unbind(&mut self) {
        self.bound = None;
    }

    /// Whether all of it may go; what is told then.
    ///
    /// # Errors
    /// 2BP01: it is a part of something that stays, or something depends on it and nobody said CASCADE.
    pub fn judge(
        &self,
        catalog: &CatalogSnapshot,
        path: &SearchPath,
        wanted: &[Address],
        cascade: bool,
    ) -> Result<Option<Notice>> {
        let named = |address: Address| describe(catalog, path, address);
        if let Some((object, whole)) = self.bound {
            let (object, whole) = (named(object), named(whole));
            return Err(Error::new("2BP01", format!("cannot drop {object} because {whole} requires it"))
                .hint(format!("You can drop {whole} instead.")));
        }
        if !self.cascaded.is_empty() && !cascade {
            let message = match wanted {
                [only] => format!("cannot drop {} because other objects depend on it", named(*only)),
                _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
            };
            return Err(Error::new("2BP01", message)
                .detail(self.told(|of, on| {
                    let on = brought(catalog, of, on).unwrap_or_else(|| named(on));
                    format!("{} depends on {on}", named(of))
                }))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        Ok(match self.cascaded.as_slice() {
            [] => None,
            [(of, _)] => Some(Notice::notice("00000", format!("drop cascades to {}", named(*of)))),
            several => {
                let message = format!("drop cascades to {} other objects", several.len());
                let mut notice = Notice::notice("00000", message);
                notice.detail = Some(self.told(|of, _| format!("drop cascades to {}", named(of))));
                Some(notice)
            }
        })
    }

    fn told(&self, line: impl Fn(Address, Address) -> String) -> String {
        let told = self.cascaded.iter().take(TOLD_MAX);
        let mut lines: Vec<String> = told.map(|(of, on)| line(*of, *on)).collect();
        let rest = self.cascaded.len().saturating_sub(TOLD_MAX);
        if rest > 0 {
            let objects = if rest == 1 { "object" } else { "objects" };
            lines.push(format!("and {rest} other {objects} (see server log for list)"));
        }
        lines.join("\n")
    }
}

/// The type of a column that has it from an extension, as messages name it.
fn brought(catalog: &CatalogSnapshot, of: Address, on: Address) -> Option<String> {
    let (Address::Column(table, id), Address::Extension(_)) = (of, on) else { return None };
    let column = catalog.table_by_oid(table)?.columns.iter().find(|column| column.id == id)?;
    column.ty.kind.extension().map(|_| format!("type {}", column.ty.kind.display_name()))
}

/// An object as messages name it: qualified where its bare name means another.
fn describe(catalog: &CatalogSnapshot, path: &SearchPath, address: Address) -> String {
    let quoted = expr::functions::quote::identifier;
    let named = |oid: Oid, schema: &str, name: &str| match catalog.relation_oid(path, None, name) {
        Some(visible) if visible == oid => quoted(name),
        _ => format!("{}.{}", quoted(schema), quoted(name)),
    };
    let relation = |oid: Oid| match catalog.table_by_oid(oid) {
        Some(relation) => {
            format!("{} {}", relation.kind.word(), named(oid, &relation.schema, &relation.name))
        }
        None => format!("table {oid}"),
    };
    let column = |table: Oid, column: ColumnId| {
        let found = catalog.table_by_oid(table);
        let own = found.and_then(|table| table.columns.iter().find(|own| own.id == column));
        format!("column {} of {}", own.map_or("", |own| own.name.as_str()), relation(table))
    };
    match address {
        Address::Schema(oid) => {
            format!("schema {}", catalog.objects().schema_name(oid).unwrap_or_default())
        }
        Address::Relation(oid) => relation(oid),
        Address::Extension(oid) => {
            let name = catalog.objects().get(oid).map(|object| object.name.as_str()).unwrap_or_default();
            format!("extension {name}")
        }
        Address::Function(oid) => match catalog.objects().get(oid) {
            Some(object) => format!("function {}", signature(catalog, path, object)),
            None => format!("function {oid}"),
        },
        Address::Type(oid) => match catalog.objects().kind(oid) {
            Some(kind) => format!("type {}", kind.display_name()),
            None => format!("type {oid}"),
        },
        Address::Attribute(oid, number) => {
            let kind = catalog.objects().kind(oid);
            let attributes = kind.and_then(|kind| catalog.objects().attributes(kind));
            let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let own = attributes.as_ref().zip(place).and_then(|(own, place)| own.fields().nth(place));
            let (name, of) = (own.map_or("", |(name, _)| name), kind.map_or("", TypeKind::display_name));
            format!("column {name} of composite type {of}")
        }
        Address::Column(table, number) => column(table, number),
        Address::Default(table, number) => format!("default value for {}", column(table, number)),
        Address::Index(_, oid) => match catalog.index_by_oid(oid) {
            Some((table, index)) => format!("index {}", named(oid, &table.schema, &index.name)),
            None => format!("index {oid}"),
        },
        Address::Constraint(table, oid) => {
            let found = catalog.table_by_oid(table);
            let name = found.and_then(|table| table.constraint_name(oid)).unwrap_or_default();
            format!("constraint {} on {}", quoted(name), relation(table))
        }
        Address::Policy(table, oid) => {
            let found = catalog.table_by_oid(table);
            let mut policies = found.iter().flat_map(|table| &table.row_security.policies);
            let name = policies.find(|policy| policy.oid == oid).map_or("", |policy| policy.name.as_str());
            format!("policy {} on {}", quoted(name), relation(table))
        }
    }
}
