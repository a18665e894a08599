//! `nunatak-bench sql --micro`: what single statements over a million rows cost, on one node and on PostgreSQL alone.

use std::path::Path;
use std::time::Instant;

use super::nunatak::Single;
use super::postgres::{Postgres, Standbys, programs};
use super::{Server, first};
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::process::{feed, query, timed};

const ROWS: u32 = 1_000_000;
/// Rows of one COPY.
const ROWS_PER_COPY: u32 = 50_000;
/// So long a statement is waited for.
const SECONDS: u32 = 300;

/// What is measured: reads, and changes in the order in which they are made.
const STATEMENTS: [(&str, &str); 18] = [
    ("count(*)", "select count(*) from m"),
    ("sum with filter", "select sum(k) from m where id % 3 = 0"),
    ("group by 1000 groups", "select k % 1000, count(*) from m group by 1 order by 1 limit 1"),
    ("order by without index, limit 10", "select id from m order by c, id limit 10"),
    ("self join on int, counted", "select count(*) from m a join m b on a.k = b.id"),
    ("self join of 100k with 1M", "select count(*) from m a join m b on a.k = b.id where a.id < 100000"),
    ("range of 10000 rows by primary key", "select * from m where id between 500000 and 509999"),
    ("the same, counted", "select count(*) from m where id between 500000 and 509999"),
    ("create index (k)", "create index m_k on m (k)"),
    ("range of about 10000 rows by index", "select * from m where k between 500000 and 509999"),
    ("order by index, limit 10", "select * from m order by k limit 10"),
    ("max of indexed", "select max(k) from m"),
    (
        "= any of 100",
        "select count(*) from m where id = any (array(select n * 9973 % 1000000 from generate_series(1, 100) n))",
    ),
    ("join of 10 rows by index", "select count(*) from m a join m b on b.k = a.id where a.id < 10"),
    (
        "plan of a join of four",
        "explain select count(*) from m a, m b, m c, m d where a.k = b.id and b.k = c.id and c.k = d.id and a.id < 10",
    ),
    (
        "plan of a join of eight",
        "explain select count(*) from m a, m b, m c, m d, m e, m f, m g, m h where a.k = b.id and b.k = c.id \
         and c.k = d.id and d.k = e.id and e.k = f.id and f.k = g.id and g.k = h.id and a.id < 10",
    ),
    ("update of 100k rows", "update m set k = k + 1 where id < 100000"),
    ("delete of 100k rows", "delete from m where id >= 900000"),
];

/// The table.
pub(super) fn run(binary: &Path, folder: &Path, rounds: u32) -> Result<String> {
    let programs = programs().ok_or(Failure::NotInstalled("PostgreSQL 15"))?;
    let ours = Single::start(binary, folder)?;
    let theirs = Postgres::start(&programs, folder, Standbys::None)?;
    let mut figures = Vec::new();
    for server in [&ours as &dyn Server, &theirs] {
        eprintln!("loading {}", server.name());
        let port = first(server)?;
        let mut loaded = Figures::default();
        loaded.add(load(port)?);
        let mut own = vec![loaded];
        own.extend(measure(port, rounds)?);
        figures.push(own);
    }
    let mut out = format!(
        "\n# Single statements over {ROWS} rows\n\n| what | nunatak ms | postgres ms | ratio |\n|---|---|---|---|\n"
    );
    let [ours, theirs] = figures.as_slice() else { return Ok(out) };
    let names = std::iter::once("copy in").chain(STATEMENTS.iter().map(|(what, _)| *what));
    for ((what, ours), theirs) in names.zip(ours).zip(theirs) {
        let (ours, theirs) = (ours.median(), theirs.median());
        out += &format!("| {what} | {ours:.1} | {theirs:.1} | {:.1} |\n", ours / theirs);
    }
    Ok(out)
}

/// Makes the table; how long its rows took.
fn load(port: u16) -> Result<f64> {
    query(port, "create table m (id int primary key, k int not null, c text not null)")?;
    let mut took = 0.0;
    for from in (0..ROWS).step_by(ROWS_PER_COPY as usize) {
        let mut rows = String::new();
        for id in from..from + ROWS_PER_COPY {
            // Each number once, in no order.
            let k = u64::from(id) * 999_983 % u64::from(ROWS);
            rows += &format!("{id}\t{k}\t{:050}\n", k * 7919 % 1_000_003);
        }
        let begun = now();
        feed(port, "copy m from stdin", &rows)?;
        took += begun.elapsed().as_secs_f64() * 1000.0;
    }
    query(port, "analyze m")?;
    Ok(took)
}

/// Medians, in the order of the statements. What changes something is done once.
fn measure(port: u16, rounds: u32) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    for (what, sql) in STATEMENTS {
        eprintln!("{what}");
        let is_read = sql.starts_with("select") || sql.starts_with("explain");
        let mut figures = Figures::default();
        for round in 0..if is_read { rounds.max(1) + 1 } else { 1 } {
            match timed(port, sql, SECONDS) {
                // The first warms up.
                Ok((_, took)) if round > 0 || !is_read => figures.add(took),
                Ok(_) => {}
                Err(Failure::Program { output, .. }) => {
                    eprintln!("{what} failed: {output}");
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        all.push(figures);
    }
    Ok(all)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark takes the real time")]
fn now() -> Instant {
    Instant::now()
}
