//! Who owns what is in a clone of a database, and who may do what with it.
//!
//! Rights are those of now. They were granted on what there is now: on columns that are gone, on a view that was defined anew, on
//! a function with another body, or on a table before its policies, nobody may have what he was granted since. Such a thing is
//! its owner's alone, and so are views over one, which show it to whoever reads them; and so is what is gone: whoever owned it then
//! has it again, if there still is that role.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::access::{Acl, BOOTSTRAP_OID, Object, ObjectRights, Rights};
use crate::catalog::object::{ObjectBody, ObjectDescriptor};
use crate::catalog::{Column, Oid, TableDescriptor, ViewDescriptor, called};

/// What has become of something since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Whoever sees it now sees no less than he saw then.
    Same,
    /// It had columns that are gone. What names none of them now named none then.
    Narrowed,
    /// It showed something else.
    Changed,
    /// There is none any more.
    Gone,
}

impl Since {
    /// Of a table.
    pub(super) fn of_table(then: &TableDescriptor, now: Option<&TableDescriptor>) -> Self {
        let Some(now) = now else { return Self::Gone };
        let is_shown = |column: &Column| column.hidden || now.column_by_id(column.id).is_some();
        if then.row_security != now.row_security {
            return Self::Changed;
        }
        if then.columns.iter().all(is_shown) { Self::Same } else { Self::Narrowed }
    }

    /// Of what is no table.
    pub(super) fn of_object(then: &ObjectDescriptor, now: Option<&ObjectDescriptor>) -> Self {
        let Some(now) = now else { return Self::Gone };
        let is_query = matches!(then.body, ObjectBody::View(_) | ObjectBody::Function(_));
        if is_query && then.body != now.body { Self::Changed } else { Self::Same }
    }
}

/// What a table asks of others: what it was filled with, and what its policies ask.
pub(super) fn asked_by_table(table: &TableDescriptor) -> BTreeSet<Oid> {
    let conditions = table.row_security.policies.iter().flat_map(|policy| policy.conditions());
    let asked = conditions.map(|condition| &condition.written);
    asked.chain(table.materialised.iter().map(|own| &own.view)).flat_map(named).collect()
}

/// What an object asks of others, as its owner.
pub(super) fn asked_by(object: &ObjectDescriptor) -> BTreeSet<Oid> {
    // Whoever reads the others through such a view needs rights on them.
    let asks = |query: &&ViewDescriptor| !query.options.invoker;
    object.kept_query().filter(asks).into_iter().flat_map(named).collect()
}

/// The relations and functions that a query names.
fn named(query: &ViewDescriptor) -> impl Iterator<Item = Oid> {
    let relations = query.relations.iter().map(|relation| relation.oid);
    relations.chain(query.pinned.iter().copied()).chain(called::functions_in(&query.query))
}

/// What asks something else of others than it asks now shows something else: so does whatever asks that, and so on.
pub(super) fn spread(all: &mut BTreeMap<Object, Since>, asked: &BTreeMap<Object, BTreeSet<Oid>>) {
    loop {
        let changed: BTreeSet<Oid> = all
            .iter()
            .filter(|(_, since)| **since == Since::Changed)
            .map(|(object, _)| object.oid())
            .collect();
        let mut is_settled = true;
        for (object, _) in asked.iter().filter(|(_, asked)| !asked.is_disjoint(&changed)) {
            let Some(since) = all.get_mut(object) else { continue };
            if matches!(since, Since::Same | Since::Narrowed) {
                *since = Since::Changed;
                is_settled = false;
            }
        }
        if is_settled {
            return;
        }
    }
}

/// What rights on an object of the catalog are about.
pub(super) const fn about(object: &ObjectDescriptor) -> Object {
    match object.body {
        ObjectBody::Schema | ObjectBody::TemporarySchema | ObjectBody::Gone => Object::Schema(object.oid),
        ObjectBody::Sequence(_) => Object::Sequence(object.oid),
        ObjectBody::View(_) => Object::Table(object.oid),
        ObjectBody::Type(_) => Object::Type(object.oid),
        ObjectBody::Extension(_) => Object::Extension(object.oid),
        ObjectBody::Function(_) => Object::Function(object.oid),
    }
}

/// The rights on something in a clone, where these are those of now and of then.
pub(super) fn in_clone(
    object: Object,
    since: Since,
    now: &ObjectRights,
    then: &ObjectRights,
    has_role: impl Fn(Oid) -> bool,
) -> ObjectRights {
    let owner = match since {
        Since::Same => return now.clone(),
        Since::Narrowed | Since::Changed => now.owner,
        Since::Gone if has_role(then.owner) => then.owner,
        Since::Gone => BOOTSTRAP_OID,
    };
    // Of what nothing is said everybody may call a function.
    let is_function = matches!(object, Object::Function(_));
    let acl = is_function.then(|| Acl::initial(owner, Rights::all_of(object), Rights::NONE));
    ObjectRights { acl, ..ObjectRights::of_owner(owner) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::access::{PUBLIC_ROLE, Right};

    const OWNER: Oid = 20_000;
    const EARLIER: Oid = 20_001;

    fn granted(owner: Oid, right: Right) -> ObjectRights {
        let mut acl = Acl::default();
        acl.add(PUBLIC_ROLE, owner, Rights::of(right), Rights::NONE);
        ObjectRights { acl: Some(acl), ..ObjectRights::of_owner(owner) }
    }

    #[test]
    fn what_was_granted_since_is_granted_on_what_is_the_same() {
        let (now, then) = (granted(OWNER, Right::Select), granted(EARLIER, Right::Select));
        let table = Object::Table(30_000);
        let in_clone = |since| in_clone(table, since, &now, &then, |role| role == EARLIER);
        assert_eq!(in_clone(Since::Same), now);
        assert_eq!(in_clone(Since::Changed), ObjectRights::of_owner(OWNER));
        assert_eq!(in_clone(Since::Gone), ObjectRights::of_owner(EARLIER));
    }

    #[test]
    fn what_is_over_something_that_has_changed_has_changed() {
        let (view, over, apart, table) =
            (Object::Table(30_001), Object::Table(30_002), Object::Table(30_003), Object::Table(30_000));
        let asks = |oids: &[Oid]| oids.iter().copied().collect::<BTreeSet<Oid>>();
        let asked = BTreeMap::from([
            (over, asks(&[30_001])),
            (view, asks(&[30_000, 30_007])),
            (apart, asks(&[30_004])),
        ]);
        let spread = |of_table: Since| {
            let mut all = BTreeMap::from([
                (table, of_table),
                (view, Since::Same),
                (over, Since::Same),
                (apart, Since::Same),
                (Object::Table(30_004), Since::Narrowed),
            ]);
            spread(&mut all, &asked);
            [table, view, over, apart].map(|object| all[&object])
        };
        assert_eq!(spread(Since::Changed), [Since::Changed, Since::Changed, Since::Changed, Since::Same]);
        assert_eq!(spread(Since::Same), [Since::Same; 4]);
        assert_eq!(spread(Since::Narrowed), [Since::Narrowed, Since::Same, Since::Same, Since::Same]);
    }

    #[test]
    fn what_nobody_owns_any_more_is_the_first_superusers() {
        let (now, then) = (ObjectRights::of_owner(BOOTSTRAP_OID), granted(EARLIER, Right::Execute));
        let function = Object::Function(30_000);
        let rights = in_clone(function, Since::Gone, &now, &then, |_| false);
        assert_eq!(rights.owner, BOOTSTRAP_OID);
        let grantees: Vec<Oid> = rights.acl.iter().flat_map(Acl::items).map(|item| item.grantee).collect();
        assert_eq!(grantees, [BOOTSTRAP_OID]);
    }
}
