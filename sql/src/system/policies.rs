//! Views of the policies of row-level security.

use super::World;
use super::record::{Records, Value};
use crate::bind;
use crate::catalog::access::PUBLIC_ROLE;
use crate::catalog::{CatalogSnapshot, Policy, PolicyCondition, SearchPath, TableDescriptor};

/// The policies, by table.
fn all<'w>(world: &'w World<'_>) -> impl Iterator<Item = (&'w TableDescriptor, &'w Policy)> {
    let tables = world.catalog.tables();
    tables.flat_map(|table| table.row_security.policies.iter().map(move |own| (table.as_ref(), own)))
}

/// A condition as it is shown.
pub(super) fn text(
    catalog: &CatalogSnapshot,
    table: &TableDescriptor,
    condition: Option<&PolicyCondition>,
    path: &SearchPath,
) -> Option<String> {
    condition.map(|condition| bind::policy_text(table, condition, catalog, path))
}

/// The names of the roles that a policy binds, in their order.
pub(super) fn roles(catalog: &CatalogSnapshot, policy: &Policy) -> Vec<String> {
    let access = catalog.access();
    let name = |role: &u32| match *role {
        PUBLIC_ROLE => Some("public".to_owned()),
        role => access.role(role).map(|role| role.name.clone()),
    };
    let mut names: Vec<String> = policy.roles.iter().filter_map(name).collect();
    names.sort_unstable();
    names
}

pub(super) fn pg_policy(world: &World<'_>, records: &mut Records<'_>) {
    for (table, policy) in all(world) {
        let text = |condition| text(world.catalog, table, condition, &SearchPath::default());
        records.push(&[
            ("oid", policy.oid.into()),
            ("polname", (&policy.name).into()),
            ("polrelid", table.oid.into()),
            ("polcmd", policy.command.letter().into()),
            ("polpermissive", policy.permissive.into()),
            ("polroles", Value::Ints(policy.roles.iter().copied().map(i64::from).collect())),
            ("polqual", text(policy.using.as_ref()).into()),
            ("polwithcheck", text(policy.check.as_ref()).into()),
        ]);
    }
}

pub(super) fn pg_policies(world: &World<'_>, records: &mut Records<'_>) {
    for (table, policy) in all(world) {
        let text = |condition| text(world.catalog, table, condition, &SearchPath::default());
        records.push(&[
            ("schemaname", world.schema(&table.schema).into()),
            ("tablename", (&table.name).into()),
            ("policyname", (&policy.name).into()),
            ("permissive", if policy.permissive { "PERMISSIVE" } else { "RESTRICTIVE" }.into()),
            ("roles", Value::Texts(roles(world.catalog, policy))),
            ("cmd", policy.command.keyword().into()),
            ("qual", text(policy.using.as_ref()).into()),
            ("with_check", text(policy.check.as_ref()).into()),
        ]);
    }
}
