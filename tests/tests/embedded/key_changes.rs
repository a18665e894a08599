//! Every version of a row says whether its row moved or went, or a column of a unique key changed: who relies on the row's keys
//! alone, as a row that refers to it does, need not heed the others.

use std::collections::BTreeMap;
use std::ops::Bound;

use node::OfflineStore;
use nunatak_tests::embedded::Embedded;
use tokio_postgres::NoTls;

/// Where the flags stand in a version's header, behind its transaction's start timestamp.
const FLAGS: usize = 8;

/// What each transaction does to the row whose `id` is 1, and whether that changes a key.
const TRANSACTIONS: &[(&str, bool)] = &[
    ("INSERT INTO t VALUES (1, 10, 100, 'a')", true),
    // By its primary key, and with the operators.
    ("UPDATE t SET v = 101 WHERE id = 1", false),
    ("UPDATE t SET v = v + 1 WHERE id < 2", false),
    ("UPDATE t SET plain = 'b', v = 5 WHERE id = 1", false),
    ("UPDATE t SET plain = 'c' WHERE v = 5", false),
    ("UPDATE t SET u = 11 WHERE id = 1", true),
    ("UPDATE t SET u = 12 WHERE v = 5", true),
    ("UPDATE t SET u = 12, v = 6 WHERE id = 1", false),
    ("UPDATE t SET u = u, v = 7 WHERE id < 2", false),
    ("UPDATE t SET u = NULL WHERE id = 1", true),
    ("UPDATE t SET u = NULL WHERE id = 1", false),
    ("INSERT INTO t VALUES (1, 10, 0, '') ON CONFLICT (id) DO UPDATE SET v = 8", false),
    ("INSERT INTO t VALUES (1, 10, 0, '') ON CONFLICT (id) DO UPDATE SET u = 13", true),
    // All that a transaction does counts.
    ("BEGIN; UPDATE t SET u = 14 WHERE id = 1; UPDATE t SET v = 9 WHERE id = 1; COMMIT", true),
    ("BEGIN; UPDATE t SET v = 10 WHERE id = 1; UPDATE t SET v = 11 WHERE id < 2; COMMIT", false),
    (
        "BEGIN; UPDATE t SET v = 12 WHERE id = 1; SAVEPOINT s; UPDATE t SET u = 15 WHERE id = 1; \
         ROLLBACK TO s; UPDATE t SET v = 13 WHERE id < 2; COMMIT",
        false,
    ),
    ("BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 14, 1, ''); COMMIT", true),
    ("UPDATE t SET id = 2 WHERE id = 1", true),
    ("UPDATE t SET id = 1 WHERE id = 2", true),
    (
        "BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 14, 1, ''); UPDATE t SET v = 2; COMMIT",
        true,
    ),
    ("DELETE FROM t WHERE id = 1", true),
];

/// For each version of the key that has most of them, from the oldest on, what it says.
fn said(store: &OfflineStore) -> Vec<bool> {
    let prefix = keys::sql::index_prefix(keys::sql::TENANT_DEFAULT, keys::sql::SYSTEM_INDEX_IDS);
    let end = keys::span::prefix_end(&[keys::keyspace::DATA]);
    let options = lsm::ScanOptions { all_versions: true, tombstones: true, ..Default::default() };
    let within = (Bound::Included(prefix.as_ref()), Bound::Excluded(end.as_ref()));
    let mut versions: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for entry in store.db().scan_at(within, u64::MAX, options).unwrap() {
        let entry = entry.unwrap();
        let header = entry.value.as_deref().unwrap_or(entry.note.as_bytes());
        versions.entry(entry.key).or_default().push(header[FLAGS] & 1 == 1);
    }
    let mut said = versions.into_values().max_by_key(Vec::len).unwrap_or_default();
    said.reverse();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_says_whether_its_transaction_changed_a_key_of_the_row() {
    let cluster = Embedded::start().await;
    let (session, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    for schema in
        ["CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v int, plain text)", "CREATE INDEX ON t (plain)"]
    {
        session.batch_execute(schema).await.unwrap();
    }
    for (transaction, _) in TRANSACTIONS {
        session.batch_execute(transaction).await.unwrap_or_else(|error| panic!("{transaction}: {error:?}"));
    }
    drop(session);
    connection.await.unwrap().unwrap();
    let said = cluster.look_behind(said).await;
    let expected: Vec<bool> = TRANSACTIONS.iter().map(|(_, changes)| *changes).collect();
    for ((transaction, expected), said) in TRANSACTIONS.iter().zip(&said) {
        assert_eq!(said, expected, "{transaction}");
    }
    assert_eq!(said, expected);
}
