//! psql's own commands that describe the catalog, as the psql that is installed sends them.

use std::process::Command;

use nunatak_tests::processes::{installed, psql, start_single};

/// The commands.
const COMMANDS: [&str; 35] = [
    r"\d",
    r"\d pg_class",
    r"\d t",
    r"\d t*",
    r"\d t_pkey",
    r"\d+ t",
    r"\d parent",
    r"\d child",
    r"\d+ child",
    r"\d child_id_seq",
    r"\d seen",
    r"\d+ seen",
    r"\dC",
    r"\dD",
    r"\dRp",
    r"\dS",
    r"\dT",
    r"\db",
    r"\dd",
    r"\df",
    r"\di",
    r"\dn",
    r"\dn+",
    r"\do",
    r"\dp",
    r"\drds",
    r"\ds",
    r"\dt",
    r"\dt+",
    r"\du",
    r"\du+",
    r"\dv",
    r"\dx",
    r"\l",
    r"\l+",
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
    for command in COMMANDS {
        let output = Command::new("psql")
            .args(["-X", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres", "-c", command])
            .output()
            .expect("psql runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        // Of an empty list psql says so here.
        let is_empty = complaint.is_empty() || complaint.starts_with("Did not find any");
        if !is_empty || !output.status.success() {
            wrong.push(format!("{command}: {complaint}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
