//! What is asked for in parts: portals with a row limit, and cursors that were there before anything was audited.

use super::{Audited, objects, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_of_a_portal_is_recorded_once() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key); grant all on t to auditor")
        .await;
    run(&admin, "insert into t select * from generate_series(1, 5)").await;
    run(&admin, "alter role auditor set nunatak.audit to 'all, -misc'").await;
    let mut user = audited.connect("auditor", "").await;

    // Each part has its own, and its own rows; they are all of those that have left.
    let before = audited.count_of("auditor");
    let block = user.transaction().await.expect("a block");
    let statement = block.prepare("select a from t order by a").await.expect("a statement");
    let portal = block.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(block.query_portal(&portal, 2).await.expect("rows").len(), 2);
    assert_eq!(audited.told_of("auditor", before), ["SELECT suspended 2"]);
    assert_eq!(block.query_portal(&portal, 2).await.expect("rows").len(), 2);
    assert_eq!(block.query_portal(&portal, 2).await.expect("rows").len(), 1);
    let told = audited.told_of("auditor", before);
    assert_eq!(told, ["SELECT suspended 2", "SELECT suspended 2", "SELECT ok 1"]);
    assert_eq!(objects(&audited.last_of("auditor")), ["public.t read"]);
    // What was at its end before is not read again.
    assert_eq!(block.query_portal(&portal, 2).await.expect("no rows").len(), 0);
    assert_eq!(audited.told_of("auditor", before).len(), 3);

    // One that is never asked again has no end to tell of; one that fails in the middle has.
    let left = block.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(block.query_portal(&left, 1).await.expect("rows").len(), 1);
    let failing = "select 1 / (4000 - n) from generate_series(1, 5000) n";
    let failing = block.prepare(failing).await.expect("a statement");
    let failing = block.bind(&failing, &[]).await.expect("a portal");
    assert_eq!(block.query_portal(&failing, 1).await.expect("rows").len(), 1);
    assert!(block.query_portal(&failing, 0).await.is_err());
    let told = audited.told_of("auditor", before + 3);
    assert_eq!(told, ["SELECT suspended 1", "SELECT suspended 1", "SELECT 22012"]);
    drop(block);

    // What changes rows is done with its first part, whoever asks for what it answers.
    let before = audited.await_told("auditor", before, "SELECT 22012").await.len() + before;
    let block = user.transaction().await.expect("a block");
    let insert = "insert into t select * from generate_series(11, 14) returning a";
    let statement = block.prepare(insert).await.expect("a statement");
    let portal = block.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(block.query_portal(&portal, 1).await.expect("rows").len(), 1);
    assert_eq!(audited.told_of("auditor", before), ["INSERT ok 4"]);
    assert_eq!(block.query_portal(&portal, 0).await.expect("rows").len(), 3);
    block.commit().await.expect("a commit");
    assert_eq!(audited.told_of("auditor", before), ["INSERT ok 4", "COMMIT ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_on_is_recorded_from_when_its_table_is() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create role other; grant other to auditor").await;
    run(&admin, "create table t (a int primary key); insert into t select * from generate_series(1, 9)")
        .await;
    run(&admin, "create table u (a int primary key); insert into u select * from generate_series(1, 9)")
        .await;
    run(&admin, "grant select on t, u to auditor").await;
    let mut user = audited.connect("auditor", "").await;
    run(&user, "begin; declare held cursor with hold for select a from u; commit").await;
    let block = user.transaction().await.expect("a block");
    block
        .batch_execute("declare c cursor for select a from t; fetch 1 from c; fetch 1 from held")
        .await
        .expect("cursors");
    let statement = block.prepare("select a from t").await.expect("a statement");
    let portal = block.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(block.query_portal(&portal, 1).await.expect("rows").len(), 1);
    assert_eq!(audited.count_of("auditor"), 0);

    run(&admin, "alter table t set (audit = 'read'); alter table u set (audit = 'read')").await;
    assert_eq!(block.query_portal(&portal, 1).await.expect("rows").len(), 1);
    assert_eq!(audited.told_of("auditor", 0), ["SELECT suspended 1"]);
    block.batch_execute("fetch 2 from c; move 1 from c; set role other; fetch 1 from c").await.expect("rows");
    let told = audited.told_of("auditor", 1);
    assert_eq!(told, ["FETCH ok 2", "MOVE ok 1", "FETCH ok 1"]);
    let last = audited.last_of("auditor");
    assert_eq!((objects(&last), last["role"].as_str()), (vec!["public.t read".to_owned()], Some("other")));
    block.batch_execute("close c; reset role").await.expect("the end of the cursor");
    block.commit().await.expect("a commit");
    run(&user, "fetch 1 from held").await;
    let last = audited.last_of("auditor");
    assert_eq!((objects(&last), last["command"].as_str()), (vec!["public.u read".to_owned()], Some("FETCH")));
    assert_eq!(audited.count_of("auditor"), 5);
}
