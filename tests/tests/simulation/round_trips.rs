//! What statements cost in round trips between a gateway and the ranges' leaders, counted on the wire.
//!
//! An autocommit read by key costs one: its leader asks the oracle for the timestamp. An autocommit write by key costs two, a
//! lock that reads the row and a commit. A transaction's first statement brings its timestamp along, under READ COMMITTED
//! every statement does, and what is locked or written is read without asking. A transaction over several ranges costs one
//! request to each for its locks, and one to each for its intents.

use client::{Strength, TransactionOptions, WaitPolicy};
use nunatak_tests::simulation::{Quiet, RoundTrips, quiet, quiet_over};
use tokio_postgres::types::ToSql;

const SCHEMA: &str = "
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    INSERT INTO pgbench_branches VALUES (1, 0, '');
    INSERT INTO pgbench_tellers SELECT number, 1, 0, '' FROM generate_series(1, 10) number;
    INSERT INTO pgbench_accounts SELECT number, 1, 0, '' FROM generate_series(1, 100) number";

const READ: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
const WRITE: &str = "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2";

/// pgbench's TPC-B between BEGIN and END.
const TPC_B: [(&str, &[i32]); 5] = [
    (WRITE, &[5, 7]),
    (READ, &[7]),
    ("UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2", &[5, 3]),
    ("UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2", &[5, 1]),
    (
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)",
        &[3, 1, 7, 5],
    ),
];

const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

fn trips(ranges: u64) -> RoundTrips {
    RoundTrips { ranges, oracle: 0 }
}

/// Runs a prepared statement twice, and counts the second time: by then all that can be cached is.
async fn counted(cluster: &Quiet, statement: &str, parameters: &[i32]) -> RoundTrips {
    let prepared = cluster.session.prepare(statement).await.unwrap();
    let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
    cluster.session.query(&prepared, &parameters).await.unwrap();
    let (answer, trips) = cluster.count(cluster.session.query(&prepared, &parameters)).await;
    answer.unwrap();
    trips
}

async fn at_level(cluster: &Quiet, level: &str) {
    let set = format!("SET default_transaction_isolation = '{level}'");
    cluster.session.batch_execute(&set).await.unwrap();
}

#[test]
fn statements_by_key_cost_no_round_trip_that_they_need_not() {
    quiet(async |cluster| {
        cluster.session.batch_execute(SCHEMA).await.unwrap();
        for level in LEVELS {
            at_level(cluster, level).await;
            assert_eq!(counted(cluster, READ, &[7]).await, trips(1), "a read at {level}");
            assert_eq!(counted(cluster, WRITE, &[1, 7]).await, trips(2), "a write at {level}");
            let insert =
                "INSERT INTO pgbench_branches VALUES ($1 + (SELECT max(bid) FROM pgbench_branches), 0)";
            let scanned = counted(cluster, "SELECT count(*) FROM pgbench_tellers", &[]).await;
            assert_eq!(scanned, trips(1), "a scan of a few rows at {level}");
            // Its subquery's read, a lock, a commit.
            assert_eq!(counted(cluster, insert, &[1]).await, trips(3), "an insert at {level}");
        }
    });
}

/// The numbers of a serial key are there already, but for one row in some dozens.
#[test]
fn a_serial_key_costs_no_round_trip_of_its_own() {
    quiet(async |cluster| {
        cluster.session.batch_execute("CREATE TABLE serials (id serial PRIMARY KEY, a int)").await.unwrap();
        let insert = "INSERT INTO serials (a) VALUES ($1) RETURNING id";
        assert_eq!(counted(cluster, insert, &[1]).await, trips(2), "an insert with a serial key");
    });
}

#[test]
fn a_tpc_b_transaction_costs_three_locks_and_its_commit() {
    quiet(async |cluster| {
        cluster.session.batch_execute(SCHEMA).await.unwrap();
        let session = &cluster.session;
        let mut statements = Vec::new();
        for (statement, parameters) in TPC_B {
            statements.push((session.prepare(statement).await.unwrap(), parameters));
        }
        for level in LEVELS {
            at_level(cluster, level).await;
            for round in 0..3 {
                let transaction = async {
                    session.batch_execute("BEGIN").await.unwrap();
                    for (statement, parameters) in &statements {
                        let parameters: Vec<&(dyn ToSql + Sync)> =
                            parameters.iter().map(|value| value as _).collect();
                        session.query(statement, &parameters).await.unwrap();
                    }
                    session.batch_execute("END").await.unwrap();
                };
                let ((), cost) = cluster.count(transaction).await;
                if round > 0 {
                    assert_eq!(cost, trips(4), "at {level}");
                }
            }
        }
    });
}

#[test]
fn under_read_committed_each_statement_brings_its_own_timestamp() {
    quiet(async |cluster| {
        cluster.session.batch_execute(SCHEMA).await.unwrap();
        for (level, reads) in [("read committed", 3), ("serializable", 3)] {
            at_level(cluster, level).await;
            let prepared = cluster.session.prepare(READ).await.unwrap();
            let transaction = async {
                cluster.session.batch_execute("BEGIN").await.unwrap();
                for aid in 1..=reads {
                    cluster.session.query(&prepared, &[&aid]).await.unwrap();
                }
                cluster.session.batch_execute("COMMIT").await.unwrap();
            };
            let ((), cost) = cluster.count(transaction).await;
            assert_eq!(cost, trips(reads as u64), "at {level}");
        }
    });
}

#[test]
fn a_transaction_over_ranges_costs_its_locks_and_its_intents() {
    quiet_over("borders", async |cluster| {
        let key = |name: &[u8]| keys::sql::kv_key(1, name);
        let wanted = [key(b"account/"), key(b"list/"), key(b"list/z"), key(b"transfer/")];
        for ranges in [2, 4] {
            let keys = wanted[..ranges].to_vec();
            let transaction = async || {
                let mut transaction = cluster.client.begin(TransactionOptions::default());
                transaction.lock(keys.clone(), Strength::Exclusive, WaitPolicy::Block).await.unwrap();
                keys.iter().for_each(|key| transaction.put(key.clone(), "value".into()));
                transaction.commit().await.unwrap();
            };
            transaction().await;
            env::clock::sleep(std::time::Duration::from_secs(1)).await;
            let ((), cost) = cluster.count(transaction()).await;
            assert_eq!(cost, RoundTrips { ranges: 2 * ranges as u64, oracle: 1 }, "over {ranges} ranges");
            env::clock::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
}

#[test]
fn what_has_read_elsewhere_costs_one_more_of_each() {
    quiet_over("borders", async |cluster| {
        let key = |name: &[u8]| keys::sql::kv_key(1, name);
        let transaction = async || {
            let mut transaction = cluster.client.begin(TransactionOptions::default());
            transaction.get(key(b"list/z")).await.unwrap();
            for written in [key(b"account/"), key(b"list/")] {
                transaction.put(written, "value".into());
            }
            transaction.commit().await.unwrap();
        };
        transaction().await;
        env::clock::sleep(std::time::Duration::from_secs(1)).await;
        let ((), cost) = cluster.count(transaction()).await;
        // Its read brings the first timestamp along; then the one to commit at, three validations, and two prewrites.
        assert_eq!(cost, RoundTrips { ranges: 1 + 3 + 2, oracle: 1 });
    });
}
