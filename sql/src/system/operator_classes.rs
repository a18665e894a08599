//! Operator classes and their families, read from `operator_classes.txt`: PostgreSQL's, of the types that there are, and those
//! of types that come with extensions, by OIDs of our own.
//!
//! ```text
//! oid method class family family-name type is-default
//! ```

use std::sync::LazyLock;

use expr::TypeKind;

use super::record::Records;
use super::{AM_BTREE_OID, AM_HASH_OID, OWNER_OID, World};
use crate::catalog::{IndexColumn, IndexDescriptor, IndexMethod, IndexPart, TableDescriptor};

const CLASSES: &str = include_str!("operator_classes.txt");

struct OperatorClass {
    oid: u32,
    method: u32,
    name: &'static str,
    family: u32,
    family_name: &'static str,
    ty: u32,
    is_default: bool,
}

/// A line that makes no sense is left out; a test holds that there is none.
static ALL: LazyLock<Vec<OperatorClass>> = LazyLock::new(|| CLASSES.lines().filter_map(parse).collect());

fn parse(line: &'static str) -> Option<OperatorClass> {
    let mut words = line.split(' ');
    Some(OperatorClass {
        oid: words.next()?.parse().ok()?,
        method: words.next()?.parse().ok()?,
        name: words.next()?,
        family: words.next()?.parse().ok()?,
        family_name: words.next()?,
        ty: words.next()?.parse().ok()?,
        is_default: words.next()? == "1",
    })
}

/// The access method that an index was declared with.
pub(super) fn method_oid(method: IndexMethod) -> u32 {
    match method {
        IndexMethod::Btree => AM_BTREE_OID,
        IndexMethod::Hash => AM_HASH_OID,
    }
}

/// The class by which a part of an index's key is kept in order.
pub(super) fn class_oid(table: &TableDescriptor, index: &IndexDescriptor, key: &IndexColumn) -> u32 {
    let ty = match &key.part {
        IndexPart::Column(id) => table.columns.iter().find(|column| column.id == *id).map(|column| column.ty),
        IndexPart::Expression(expression) => Some(expression.ty),
    };
    let own = ty.map_or("", |ty| ty.kind.base().class());
    let name = key.class.as_deref().unwrap_or(own);
    let method = method_oid(index.options.method);
    ALL.iter().find(|class| class.method == method && class.name == name).map_or(0, |class| class.oid)
}

/// The class of this name that keeps an order; 0: there is none.
pub(super) fn btree_oid(name: &str) -> u32 {
    let is_meant = |class: &&OperatorClass| class.method == AM_BTREE_OID && class.name == name;
    ALL.iter().find(is_meant).map_or(0, |class| class.oid)
}

/// The classes of types that there are in a database, with the schemas that they are in.
fn classes(world: &World<'_>) -> impl Iterator<Item = (&'static OperatorClass, u32)> {
    ALL.iter().filter_map(move |class| {
        let extension = TypeKind::from_oid(class.ty).and_then(TypeKind::extension);
        Some((class, world.namespace(extension)?))
    })
}

pub(super) fn pg_opclass(world: &World<'_>, records: &mut Records<'_>) {
    for (class, schema) in classes(world) {
        records.push(&[
            ("oid", class.oid.into()),
            ("opcmethod", class.method.into()),
            ("opcname", class.name.into()),
            ("opcnamespace", schema.into()),
            ("opcowner", OWNER_OID.into()),
            ("opcfamily", class.family.into()),
            ("opcintype", class.ty.into()),
            ("opcdefault", class.is_default.into()),
        ]);
    }
}

pub(super) fn pg_opfamily(world: &World<'_>, records: &mut Records<'_>) {
    let mut shown = Vec::new();
    for (class, schema) in classes(world) {
        if shown.contains(&class.family) {
            continue;
        }
        shown.push(class.family);
        records.push(&[
            ("oid", class.family.into()),
            ("opfmethod", class.method.into()),
            ("opfname", class.family_name.into()),
            ("opfnamespace", schema.into()),
            ("opfowner", OWNER_OID.into()),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use expr::types::Order;

    use super::*;

    #[test]
    fn every_line_makes_sense() {
        assert_eq!(ALL.len(), CLASSES.lines().count());
    }

    #[test]
    fn every_type_that_can_be_compared_has_its_classes() {
        let compared = TypeKind::all().filter(|kind| kind.is_storable() && kind.order() != Order::None);
        for kind in compared {
            let is_there =
                |method| ALL.iter().any(|class| class.method == method && class.name == kind.class());
            assert!(!kind.is_ordered() || is_there(AM_BTREE_OID), "{}", kind.name());
            assert!(!kind.hashes() || is_there(AM_HASH_OID), "{}", kind.name());
        }
    }
}
