//! Which rows a statement locks: those that its conditions let through, and of them no more than it answers. Who waits for a row
//! looks at it anew.

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The rows of `t` that somebody else holds.
async fn held(client: &Client) -> Vec<String> {
    let free = rows(client, "select id from t for update skip locked").await;
    rows(client, "select id from t order by id").await.into_iter().filter(|id| !free.contains(id)).collect()
}

/// Eight tasks of two owners, of whom one is away.
const TABLES: &str = "
    create table u (id int primary key, here bool not null);
    create table t (id int primary key, owner int, n int not null);
    insert into u values (1, true), (2, false);
    insert into t select g, 1 + g % 2, g * 10 from generate_series(1, 8) g";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_conditions_leave_out_is_not_locked() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    for (locks, answered, locked) in [
        // A join, and what it leaves of the other side.
        ("select t.id from t join u on u.id = t.owner where u.here for update", 4, vec!["2", "4", "6", "8"]),
        (
            "select t.id from t, u where u.id = t.owner and u.here and t.n + u.id > 50 for update of t",
            2,
            vec!["6", "8"],
        ),
        ("select t.id from t left join u on u.id = t.owner where t.n > 70 for update of t", 1, vec!["8"]),
        // Subqueries.
        (
            "select id from t where exists (select 1 from u where u.id = t.owner and here) and n < 50 for update",
            2,
            vec!["2", "4"],
        ),
        ("select id from t where n = (select max(n) from t) for update", 1, vec!["8"]),
        (
            "select id from t where (select count(*) from t o where o.n > t.n) < 2 for update",
            2,
            vec!["7", "8"],
        ),
        (
            "select id from t where not exists (select 1 from u where u.id = t.owner and here) for share",
            4,
            vec!["1", "3", "5", "7"],
        ),
        // What is volatile.
        ("select id from t where n > 60 and random() < 2 for no key update", 2, vec!["7", "8"]),
        // A query in FROM.
        ("select id from (select id, n from t where n < 30) q where id > 1 for update", 1, vec!["2"]),
        // What changes rows.
        (
            "update t set n = n from u where u.id = t.owner and u.here returning t.id",
            4,
            vec!["2", "4", "6", "8"],
        ),
        (
            "delete from t using u where u.id = t.owner and not u.here and t.n + u.id < 40 returning t.id",
            2,
            vec!["1", "3"],
        ),
        (
            "update t set n = n where (select count(*) from t o where o.n > t.n) < 1 returning id",
            1,
            vec!["8"],
        ),
        ("update t set n = n where n > 70 and random() < 2 returning id", 1, vec!["8"]),
    ] {
        run(&here, "begin").await;
        assert_eq!(rows(&here, locks).await.len(), answered, "{locks}");
        assert_eq!(held(&there).await, locked, "{locks}");
        run(&here, "rollback").await;
        assert!(held(&there).await.is_empty(), "{locks}");
    }
    // The other side of a join is free, unless it is meant, too.
    for (of, free) in [("of t", 2), ("of u", 1), ("", 1)] {
        run(&here, &format!("begin; select from t join u on u.id = t.owner where u.here for update {of}"))
            .await;
        assert_eq!(rows(&there, "select id from u for update skip locked").await.len(), free, "{of}");
        run(&here, "rollback").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_rows_are_locked_than_are_answered() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        for client in [&here, &there] {
            run(client, &format!("set default_transaction_isolation = '{isolation}'")).await;
        }
        // No index has this order.
        let take = "select id from t order by -n limit 2 for update skip locked";
        run(&here, "begin").await;
        run(&there, "begin").await;
        assert_eq!(rows(&here, take).await, ["8", "7"], "{isolation}");
        assert_eq!(rows(&there, take).await, ["6", "5"], "{isolation}");
        run(&there, "rollback").await;
        assert_eq!(held(&there).await, ["7", "8"], "{isolation}");
        run(&there, "begin").await;
        let joined = "select t.id from t join u on u.id = t.owner where u.here order by t.n desc
            limit 1 offset 1 for update of t skip locked";
        // Row 8 is passed over, row 6 is what OFFSET leaves out.
        assert_eq!(rows(&there, joined).await, ["4"], "{isolation}");
        let nowait = "select id from t order by -n limit 1 for update nowait";
        let refused = there.simple_query(nowait).await.expect_err("a row that is held");
        assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{isolation}");
        run(&there, "rollback").await;
        run(&here, "rollback").await;
        run(&here, "begin").await;
        assert_eq!(rows(&here, "select id from t order by n + 0 limit 3 for update").await.len(), 3);
        assert_eq!(held(&there).await, ["1", "2", "3"], "{isolation}");
        run(&here, "rollback").await;
        // Numbers that are known when it runs.
        let prepared = here
            .prepare_typed(
                "select id from t order by n + 0 limit $1 offset $2 for update",
                &[tokio_postgres::types::Type::INT8, tokio_postgres::types::Type::INT8],
            )
            .await
            .expect("a statement");
        run(&here, "begin").await;
        assert_eq!(here.query(&prepared, &[&2_i64, &1_i64]).await.expect("rows").len(), 2);
        assert_eq!(held(&there).await, ["1", "2", "3"], "{isolation}");
        run(&here, "rollback").await;
        // Within FROM a limit counts there.
        run(&here, "begin").await;
        let within = "select * from (select id from t order by -n limit 1) q for update";
        assert_eq!(rows(&here, within).await, ["8"], "{isolation}");
        assert_eq!(held(&there).await, ["8"], "{isolation}");
        run(&here, "rollback").await;
    }
    cluster.stop().await;
}

/// What `waits` answers that has to wait for `change`.
async fn after(changing: &Client, waiting: &Client, change: &str, waits: &str) -> Vec<String> {
    run(changing, &format!("begin; {change}")).await;
    let (answered, ()) = tokio::join!(rows(waiting, waits), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        run(changing, "commit").await;
    });
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_waited_looks_at_the_row_anew() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&there, "set default_transaction_isolation = 'read committed'").await;
    let joined =
        "select t.id, t.n, t.n * 2 + u.id from t join u on u.id = t.owner where u.here and t.n + u.id < 50
        order by t.n + 0 limit 10 for update of t";
    // Row 2 is answered as it is now, what is computed of it included; row 4 has left.
    assert_eq!(
        after(&here, &there, "update t set n = 30 where id = 2; update t set n = 500 where id = 4", joined)
            .await,
        ["2,30,61"]
    );
    // Who is deleted is not there.
    assert_eq!(after(&here, &there, "delete from t where id = 2", joined).await, Vec::<String>::new());
    // What it was joined with stays what it was: another partner is not looked for.
    let paired = "select t.id, u.here from t join u on u.id = t.owner where t.id = 6 for update of t";
    assert_eq!(
        after(&here, &there, "update t set owner = 2 where id = 6", paired).await,
        Vec::<String>::new()
    );
    let filled =
        "select t.id, t.n, u.here from t left join u on u.id = t.owner where t.id = 6 for update of t";
    assert_eq!(after(&here, &there, "update t set owner = 1, n = 61 where id = 6", filled).await, ["6,61,∅"]);
    // Subqueries are asked again.
    let asked = "select id, n from t where (select count(*) from u where u.id = t.owner and here) = 1
        order by id for update";
    assert_eq!(
        after(&here, &there, "update t set owner = 2 where id = 8; update t set n = 62 where id = 6", asked)
            .await,
        ["4,500", "6,62"]
    );
    // So it is where rows are changed.
    let change =
        "update t set n = t.n + 1 from u where u.id = t.owner and u.here and t.n < 70 returning t.id, t.n";
    assert_eq!(after(&here, &there, "update t set n = 65 where id = 6", change).await, ["6,66"]);
    let remove = "delete from t using u where u.id = t.owner and not u.here and t.n > 75 returning t.id";
    assert_eq!(after(&here, &there, "update t set n = 75 where id = 8", remove).await, Vec::<String>::new());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_within_keeps_its_own_locks() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(
        &here,
        "create table v (id int primary key, n int not null); insert into v values (1, 0), (2, 0), (3, 0)",
    )
    .await;
    for (locks, answered, locked) in [
        // What is changed is another table.
        (
            "update v set n = 1 from (select id from t where n <= 20 for update) q where q.id = v.id returning v.id",
            vec!["1", "2"],
            vec!["1", "2"],
        ),
        (
            "select u.id from (select id, owner from t where id in (2, 4) for update) q
             join u on u.id = q.owner for update of u",
            vec!["1", "1"],
            vec!["2", "4"],
        ),
        // It stands right of what is locked outside, and depends on that.
        (
            "select v.id from v, lateral (select id from t where t.id = v.id for update) q for update of v",
            vec!["1", "2", "3"],
            vec!["1", "2", "3"],
        ),
    ] {
        run(&here, "begin").await;
        let mut found = rows(&here, locks).await;
        found.sort_unstable();
        assert_eq!(found, answered, "{locks}");
        assert_eq!(held(&there).await, locked, "{locks}");
        run(&here, "rollback").await;
    }
    // Both are locked, each by its own.
    run(&here, "begin; select from (select owner from t where id = 2 for update) q join u on u.id = q.owner for update of u")
        .await;
    assert_eq!(held(&there).await, ["2"]);
    assert_eq!(rows(&there, "select id from u for update skip locked").await, ["2"]);
    // What passes over rows does so by its own word, whatever is locked outside.
    let passes = "select q.id from (select id, owner from t where id < 4 for update skip locked) q
        join u on u.id = q.owner where not u.here for update of u";
    run(&there, "begin").await;
    let mut found = rows(&there, passes).await;
    found.sort_unstable();
    assert_eq!(found, ["1", "3"]);
    let both =
        "select id from (select id from t where id < 4 for share skip locked) q order by id for update";
    assert_eq!(rows(&there, both).await, ["1", "3"]);
    run(&there, "rollback").await;
    run(&here, "rollback").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_locks_rows_or_counts_is_not_asked_again() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&here, "create sequence s").await;
    run(&there, "set default_transaction_isolation = 'read committed'").await;
    // The sequence is asked once of the row, though that is looked at anew.
    let counted = "select id, n from t where id = 2 and (select nextval('s') + 0 * t.n from u where u.id = 1) = 1 for update";
    assert_eq!(after(&here, &there, "update t set n = 21 where id = 2", counted).await, ["2,21"]);
    // So is a subquery that locks rows itself, however deep.
    let deep = "select t.id, t.n from t where t.id = 4 and exists (
            select 1 from u where u.id = t.owner and exists (
                select 1 from t i where i.id = 6 and i.owner = u.id for update) for update) for update";
    assert_eq!(after(&here, &there, "update t set n = 41 where id = 4", deep).await, ["4,41"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_without_values_is_still_one() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&here, "create table w (id int primary key, note text); insert into w values (2, null)").await;
    run(&there, "set default_transaction_isolation = 'read committed'").await;
    // All that anybody reads of the partner is NULL, and what is computed of it is not.
    let noted = "select t.id, t.n, q.note, q.one from t left join (select note, 1 as one from w) q on t.n > 0
        where t.id = 2 for update of t";
    assert_eq!(after(&here, &there, "update t set n = 21 where id = 2", noted).await, ["2,21,∅,1"]);
    run(&here, "delete from w").await;
    // Nobody reads anything of the partner, who is not there.
    let missing = "select t.id, t.n, q.one from t left join (select 1 as one from w) q on t.n > 0
        where t.id = 4 for update of t";
    assert_eq!(after(&here, &there, "update t set n = 41 where id = 4", missing).await, ["4,41,∅"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_over_is_not_relied_on() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    // Rows are looked up by their keys, or found by hashing.
    for from in ["(values (1), (2)) v (id) join t on t.id = v.id", "u join t on t.n = u.id * 10"] {
        run(&here, "begin; update t set n = n where id = 1").await;
        run(&there, "begin isolation level serializable").await;
        let take = format!("select t.id from {from} order by t.n + 0 limit 10 for update of t skip locked");
        assert_eq!(rows(&there, &take).await, ["2"], "{from}");
        run(&here, "commit").await;
        run(&there, "update t set owner = owner where id = 2; commit").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_parameters_lock_no_more_rows() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    let int8 = tokio_postgres::types::Type::INT8;
    let page = "select id from t order by id limit $1 offset $2 for update";
    let prepared = here.prepare_typed(page, &[int8.clone(), int8]).await.expect("a statement");
    run(&here, "begin").await;
    assert_eq!(here.query(&prepared, &[&1_i64, &1_i64]).await.expect("rows").len(), 1);
    assert_eq!(held(&there).await, ["1", "2"]);
    run(&here, "rollback").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_locks_no_more_than_was_fetched() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&here, "begin; declare c cursor for select id from t order by n + 0 for update").await;
    assert_eq!(rows(&here, "fetch 1 from c").await, ["1"]);
    assert_eq!(held(&there).await, ["1"]);
    run(&here, "rollback").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_may_be_missing_are_not_locked() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, TABLES).await;
    for refused in [
        "select * from t left join u on u.id = t.owner for update",
        "select * from t right join u on u.id = t.owner for update of t",
        "select * from t full join u on u.id = t.owner for update of u",
    ] {
        let error = client.simple_query(refused).await.expect_err("an error");
        let error = error.as_db_error().expect("an answer");
        assert_eq!(error.message(), "FOR UPDATE cannot be applied to the nullable side of an outer join");
        assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED);
    }
    let kept = "select t.id from t left join u on u.id = t.owner where u.here for update";
    assert_eq!(rows(&client, kept).await.len(), 4);
    // A query of WITH has no rows of its own.
    run(&client, "begin").await;
    assert_eq!(rows(&client, "with w as (select id from t) select id from w for update").await.len(), 8);
    let other = connect(&cluster.url()).await;
    assert!(held(&other).await.is_empty());
    run(&client, "rollback").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_with_a_subquery_hides_is_not_locked() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(
        &here,
        "create role ann; grant all on t, u to ann; alter table t enable row level security;
         create policy present on t using (exists (select from u where u.id = t.owner and here));
         create policy chance on t as restrictive using (random() < 2)",
    )
    .await;
    for (locks, locked) in [
        ("select id from t where n < 50 for update", vec!["2", "4"]),
        ("select id from t where id in (1, 2, 3) for update", vec!["2"]),
        ("select id from t where id = 3 for share", vec![]),
        ("update t set n = n where n > 60 returning id", vec!["8"]),
        ("delete from t where id < 3 returning id", vec!["2"]),
    ] {
        run(&here, "begin; set local role ann").await;
        assert_eq!(rows(&here, locks).await, locked, "{locks}");
        assert_eq!(held(&there).await, locked, "{locks}");
        run(&here, "rollback").await;
    }
    cluster.stop().await;
}

/// The ids of `t` that a transaction of a client's own can have at once.
async fn to_be_had(client: &Client) -> usize {
    rows(client, "select id from t for update skip locked").await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_ends_a_transaction_gives_its_rows_back() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&here, "alter table t split at values (3), (6)").await;
    for round in 0..20 {
        // What one has read, and the other has changed.
        run(&there, "begin isolation level serializable; select n from t where id in (1, 4, 7)").await;
        run(&there, "update t set n = n + 1 where id = 8").await;
        run(&here, "update t set n = n + 1 where id in (1, 4, 7)").await;
        assert_eq!(code(&there, "update t set n = n + 1 where id in (1, 4, 7)").await.code(), "40001");
        assert_eq!(to_be_had(&here).await, 8, "once the error is told, in round {round}");
        run(&there, "rollback").await;
        assert_eq!(to_be_had(&there).await, 8, "rolled back, in round {round}");
        // What fails by itself.
        run(&there, "begin; update t set n = n + 1").await;
        assert_eq!(to_be_had(&here).await, 0);
        assert_eq!(code(&there, "select 1 / 0").await.code(), "22012");
        run(&here, "select n from t for update nowait").await;
        run(&there, "rollback").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_who_has_committed_are_to_be_had() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&here, "alter table t split at values (3), (6)").await;
    for round in 0..20 {
        run(&here, "update t set n = n + 1").await;
        assert_eq!(to_be_had(&here).await, 8, "in round {round}");
        run(&here, "begin; update t set n = n + 1; commit").await;
        run(&there, "select n from t for update nowait").await;
        run(&here, "begin; update t set n = n + 1").await;
        assert_eq!(to_be_had(&there).await, 0, "in round {round}");
        run(&here, "rollback").await;
        assert_eq!(to_be_had(&there).await, 8, "in round {round}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_are_those_of_a_large_transaction_that_is_over() {
    let cluster = Embedded::start_flushing(4 << 10).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, "create table t (id int primary key, n int not null)").await;
    run(&here, "alter table t split at values (200), (400)").await;
    run(&here, "insert into t select g, g from generate_series(1, 600) g").await;
    assert_eq!(to_be_had(&there).await, 600);
    for round in 0..3 {
        run(&here, "begin; update t set n = n + 1").await;
        assert_eq!(to_be_had(&there).await, 0, "in round {round}");
        assert_eq!(code(&there, "select n from t where id = 300 for update nowait").await.code(), "55P03");
        run(&here, "commit").await;
        assert_eq!(to_be_had(&there).await, 600, "committed, in round {round}");
        run(&here, "begin; update t set n = n + 1").await;
        run(&here, "rollback").await;
        run(&there, "select n from t for update nowait").await;
    }
    cluster.stop().await;
}
