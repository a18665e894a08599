//! psql's own commands that describe the catalog, as the psql that is installed sends them.

use std::process::Command;

use nunatak_tests::processes::{installed, psql, start_single};

/// The commands, and what is known to be missing of three of them.
const COMMANDS: [(&str, Option<&str>); 35] = [
    (r"\d", None),
    (r"\d pg_class", None),
    (r"\d t", None),
    (r"\d t*", None),
    (r"\d t_pkey", None),
    (r"\d+ t", None),
    (r"\d parent", None),
    (r"\d child", None),
    (r"\d+ child", None),
    (r"\d child_id_seq", None),
    (r"\d seen", None),
    (r"\d+ seen", None),
    (r"\dC", None),
    (r"\dD", None),
    (r"\dRp", None),
    (r"\dS", None),
    (r"\dT", None),
    (r"\db", None),
    (r"\dd", Some("pg_catalog.pg_opclass")),
    (r"\df", None),
    (r"\di", None),
    (r"\dn", None),
    (r"\dn+", None),
    (r"\do", None),
    (r"\dp", None),
    (r"\drds", None),
    (r"\ds", None),
    (r"\dt", None),
    (r"\dt+", None),
    (r"\du", None),
    (r"\du+", None),
    (r"\dv", None),
    (r"\dx", None),
    (r"\l", None),
    (r"\l+", None),
];

#[test]
fn what_psql_asks_of_the_catalog_is_answered() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    psql(&server.address, "create table t (a int primary key, b text default 'x'); create index on t (b)")
        .expect("a table");
    psql(&server.address, "create table parent (id bigserial primary key, name text check (name <> '')); create table child (id int generated always as identity, p bigint references parent on delete cascade); create view seen as select name from parent")
        .expect("tables that hang together");
    let (host, port) = server.address.rsplit_once(':').expect("host:port");
    let mut wrong = Vec::new();
    for (command, missing) in COMMANDS {
        let output = Command::new("psql")
            .args(["-X", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres", "-c", command])
            .output()
            .expect("psql runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = match missing {
            // Of an empty list psql says so here.
            None => {
                let empty = complaint.is_empty() || complaint.starts_with("Did not find any");
                empty && output.status.success()
            }
            Some(what) => complaint.contains(what),
        };
        if !expected {
            wrong.push(format!("{command}: {complaint}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
