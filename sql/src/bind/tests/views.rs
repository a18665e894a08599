//! Rows changed through views.

use std::sync::Arc;

use super::{catalog, try_bind};
use crate::catalog::access::Right;
use crate::catalog::object::{ObjectBody, ObjectDescriptor};
use crate::catalog::{CatalogSnapshot, FIRST_USER_OID};
use crate::plan::{ConflictAction, Ddl, GuardCondition, GuardKind, Modify, ObjectChange, Plan, RowGuard};

/// `t (a, b, c, d)` and `u (a, e, f)` of the other tests, with these views.
fn with_views(views: &[&str]) -> CatalogSnapshot {
    let mut snapshot = catalog(&[
        "create table t (a int primary key, b varchar(10) default 'x', c numeric(10, 2), d text not null)",
        "create table u (a int, e bigint unique)",
    ]);
    for (number, sql) in (500..).zip(views) {
        let Plan::Ddl(ddl) = try_bind(sql, &snapshot).unwrap().plan else { panic!("{sql}") };
        let Ddl::Object(ObjectChange::CreateView { schema, name, view, .. }) = *ddl else { panic!("{sql}") };
        let body = ObjectBody::View(*view);
        let object = ObjectDescriptor { oid: FIRST_USER_OID + number, schema, name, body };
        snapshot = snapshot.with_object(Arc::new(object));
    }
    snapshot
}

fn layered() -> CatalogSnapshot {
    with_views(&[
        "create view low (x, k, twice) as select d, a, a * 2 from t where c > 0 with check option",
        "create view middle as select twice, k as number, x from low",
        "create view high (n, x) as select number, x from middle where number < 10 with local check option",
        "create view grouped as select a from t group by a",
        "create view counted as select count(*) as n from t",
        "create view asked (a, most) as select a, (select max(e) from u where u.a = t.a) from t",
        "create view over_asked as select a, most from asked",
    ])
}

fn modified(sql: &str, catalog: &CatalogSnapshot) -> Modify {
    let bound = try_bind(sql, catalog).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let Plan::Modify(modify) = bound.plan else { panic!("{sql}") };
    *modify
}

fn error(sql: &str, catalog: &CatalogSnapshot) -> String {
    match try_bind(sql, catalog) {
        Ok(_) => "no error".to_owned(),
        Err(error) => format!("{} {}", error.sqlstate, error.message),
    }
}

/// The views that guards are of, in the order in which they judge.
fn judging(guards: &[RowGuard]) -> Vec<&str> {
    guards
        .iter()
        .map(|guard| {
            assert_eq!(guard.kind, GuardKind::View);
            assert!(matches!(guard.condition, GuardCondition::Plain(_)));
            guard.of.as_deref().unwrap()
        })
        .collect()
}

#[test]
fn what_is_changed_is_the_table_below() {
    let catalog = layered();
    let Modify::Update(update) = modified("update high set x = 'y' where n = 1 returning n, x", &catalog)
    else {
        panic!("no UPDATE")
    };
    assert_eq!(update.table.name, "t");
    assert_eq!(update.assignments.iter().map(|own| own.column).collect::<Vec<_>>(), [3]);
    assert_eq!(update.returning.as_ref().map(Vec::len), Some(2));
    let Modify::Insert(insert) = modified("insert into high (x, n) values ('y', 1)", &catalog) else {
        panic!("no INSERT")
    };
    assert_eq!(insert.table.name, "t");
    assert_eq!(insert.source.width(), 4);
    let Modify::Delete(delete) = modified("delete from high", &catalog) else { panic!("no DELETE") };
    assert_eq!(delete.table.name, "t");
    assert_eq!(delete.source.width(), 4);
}

#[test]
fn check_options_judge_from_the_innermost_on() {
    let catalog = layered();
    let Modify::Update(update) = modified("update high set x = 'y'", &catalog) else { panic!("no UPDATE") };
    assert_eq!(judging(&update.guards), ["low", "high"]);
    assert!(update.guards.iter().all(|guard| guard.given == [3]));
    // One without WHERE of its own has those below judged.
    let Modify::Update(update) = modified("update middle set x = 'y'", &catalog) else { panic!("no UPDATE") };
    assert_eq!(judging(&update.guards), ["low"]);
    let conflict = "insert into low (k, x) values (1, 'y') on conflict (k) do update set x = excluded.x";
    let Modify::Insert(insert) = modified(conflict, &catalog) else { panic!("no INSERT") };
    assert_eq!(judging(&insert.guards), ["low"]);
    let Some(ConflictAction::Update { guards, .. }) = insert.on_conflict.map(|conflict| conflict.action)
    else {
        panic!("no DO UPDATE")
    };
    assert_eq!(judging(&guards), ["low"]);
}

#[test]
fn rights_are_asked_of_each_view_and_of_the_table() {
    let catalog = layered();
    let asked = |sql: &str| -> Vec<String> {
        let bound = try_bind(sql, &catalog).unwrap();
        let needs = bound.needs.iter().map(|need| {
            let rights =
                [(Right::Select, 's'), (Right::Insert, 'i'), (Right::Update, 'u'), (Right::Delete, 'd')];
            let taken = rights.iter().filter(|(right, _)| need.rights.contains(*right));
            let taken: String = taken.map(|(_, letter)| letter).collect();
            format!("{} {taken} {}", need.table.name, need.acting.within_view)
        });
        needs.collect()
    };
    assert_eq!(asked("update high set x = 'y'"), ["high u false", "middle u true", "low u true", "t u true"]);
    assert_eq!(
        asked("delete from high where n = 1"),
        ["high sd false", "middle sd true", "low sd true", "t sd true"]
    );
    assert_eq!(asked("insert into low (k, x) values (1, 'y')"), ["low i false", "t i true"]);
    assert_eq!(asked("insert into low (k, x) values (1, 'y') returning k"), ["low si false", "t si true"]);
}

#[test]
fn what_cannot_be_changed_is_said() {
    let catalog = layered();
    for (sql, expected) in [
        ("update low set twice = 1", "0A000 cannot update column \"twice\" of view \"low\""),
        ("update middle set twice = 1", "0A000 cannot update column \"twice\" of view \"low\""),
        (
            "insert into middle (twice) values (1)",
            "0A000 cannot insert into column \"twice\" of view \"low\"",
        ),
        ("insert into low values ('x', 1)", "no error"),
        ("insert into low values ('x', 1, 2)", "0A000 cannot insert into column \"twice\" of view \"low\""),
        ("update low set a = 1", "42703 column \"a\" of relation \"low\" does not exist"),
        ("update low set x = 'y' where a = 1", "42703 column \"a\" does not exist"),
        ("update low set x = 'y', x = 'z'", "42601 multiple assignments to same column \"x\""),
        ("delete from grouped", "55000 cannot delete from view \"grouped\""),
        ("update grouped set a = 1", "55000 cannot update view \"grouped\""),
        ("update grouped set b = 1", "42703 column \"b\" of relation \"grouped\" does not exist"),
        ("insert into counted values (1)", "55000 cannot insert into view \"counted\""),
        ("update asked set a = 1 where a = 2 returning a", "no error"),
        (
            "update asked set a = 1 where most = 2",
            "0A000 column \"most\" of view \"asked\", which a query computes, beside a change of the view's rows is not supported",
        ),
        (
            "delete from over_asked",
            "0A000 a change of rows through a view over a column of view \"asked\" that a query computes is not supported",
        ),
        ("copy low from stdin", "42809 cannot copy to view \"low\""),
        (
            "create view v as select distinct a from t with check option",
            "0A000 WITH CHECK OPTION is supported only on automatically updatable views",
        ),
        ("create view v as select x from low with check option", "no error"),
        (
            "alter view grouped set (check_option = local)",
            "0A000 WITH CHECK OPTION is supported only on automatically updatable views",
        ),
        ("alter view low set (check_option = local)", "no error"),
        ("alter view low alter column x set default 'x'", "no error"),
        (
            "alter table low alter column nothing drop default",
            "42703 column \"nothing\" of relation \"low\" does not exist",
        ),
    ] {
        assert_eq!(error(sql, &catalog), expected, "{sql}");
    }
}

#[test]
fn what_can_be_changed_is_told() {
    let catalog = layered();
    let told = |name: &str| {
        let relation = catalog.table("public", name).unwrap();
        let changeable = crate::bind::Changeable::of(relation, &catalog);
        (changeable.events(), changeable.columns)
    };
    assert_eq!(told("t"), (28, vec![true; 4]));
    assert_eq!(told("low"), (28, vec![true, true, false]));
    assert_eq!(told("middle"), (28, vec![false, true, true]));
    assert_eq!(told("grouped"), (0, vec![false]));
    assert_eq!(told("counted"), (0, vec![false]));
    assert_eq!(told("asked"), (28, vec![true, false]));
}
