//! Backups of clones: a clone comes back with all that it showed, and depends on no other table.

use nunatak_tests::clients::{connect, rows, run};
use nunatak_tests::embedded::Embedded;

const ALL: &str = "select id, a, n from c order by id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_comes_back_as_a_table_that_depends_on_no_other() {
    let cluster = Embedded::start().await;
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("file://{}/backups", place.path().display());
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table t (id int primary key, a text unique, n int)",
        "insert into t select n, 'a ' || n, n from generate_series(1, 1000) n",
        "create table c clone t",
        "create table d clone c",
        "update c set n = -1 where id <= 10",
        "delete from c where id > 990",
        "insert into c values (2000, 'new', 1)",
        "delete from t where id <= 500",
    ] {
        run(&client, statement).await;
    }
    let before = rows(&client, ALL).await;
    assert_eq!(before.len(), 991);
    let taken = rows(&client, &format!("backup database postgres into '{url}'")).await;
    let first = taken[0].split(',').nth(1).expect("a timestamp").to_owned();
    for statement in [
        "update c set n = -2 where id = 500",
        "delete from c where id in (1, 2000)",
        "update c set a = 'another' where id = 2",
        "insert into c values (1000, 'back', 7)",
    ] {
        run(&client, statement).await;
    }
    let after = rows(&client, ALL).await;
    assert_eq!(rows(&client, &format!("backup database postgres into '{url}' incremental")).await.len(), 1);
    for (name, moment, expected) in
        [("again", String::new(), &after), ("once", format!(" as of system time {first}"), &before)]
    {
        rows(&client, &format!("restore database postgres as {name} from '{url}'{moment}")).await;
        let again = connect(&cluster.url().replace("dbname=postgres", &format!("dbname={name}"))).await;
        assert_eq!(&rows(&again, ALL).await, expected, "{name}");
        // By the other index.
        let mut by_a = rows(&again, "select id, a, n from c where a >= 'a' order by a desc").await;
        by_a.sort_by_key(|row| row.split(',').next().and_then(|id| id.parse::<i32>().ok()));
        assert_eq!(&by_a, expected, "{name}");
        assert_eq!(rows(&again, "select count(*), min(n) from d").await, ["1000,1"]);
        assert_eq!(rows(&again, "select count(*) from t").await, ["500"]);
        assert!(rows(&again, "show clones").await.is_empty());
    }
    drop(client);
    cluster.stop().await;
}
