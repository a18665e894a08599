//! Statements of extreme depth, breadth and size are planned or refused, on half of the stack that sessions have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod shapes;

use expr::SessionContext;
use nunatak_sql::bind::{SessionSettings, bind};
use nunatak_sql::catalog::{CatalogSnapshot, SearchPath};
use nunatak_sql::optimise::{Rules, TableSizes};

/// How many random statements are tried; `NUNATAK_EXTREMES` sets another number.
const STATEMENTS: u64 = 300;

/// What becomes of a query string: how many statements were planned, or the SQLSTATE.
fn plan(sql: &str) -> Result<usize, String> {
    let catalog = CatalogSnapshot::new(1, [], []);
    let context = SessionContext::default();
    let search_path = SearchPath::new(["public".to_owned()]);
    let settings = SessionSettings {
        search_path: &search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let statements = nunatak_sql::parse::parse(sql).map_err(|error| error.report().sqlstate.to_string())?;
    for statement in &statements {
        let mut bound = bind(statement, &catalog, &settings, Some(&[]))
            .map_err(|error| error.report().sqlstate.to_string())?;
        nunatak_sql::optimise::optimise(&mut bound, &TableSizes::default(), Rules::ALL).unwrap();
        drop(bound.clone());
    }
    Ok(statements.len())
}

/// Runs on half of the stack that a session's thread has.
fn on_half_a_stack(run: impl FnOnce() + Send + 'static) {
    let builder = std::thread::Builder::new().stack_size(nunatak_sql::STACK_BYTES / 2);
    builder.spawn(run).unwrap().join().unwrap();
}

/// A table that the snapshot has, in place of those that the shapes name.
fn over_system_tables(sql: &str) -> String {
    let sql =
        sql.replace("from t", "from (select 1 a, 'x' b) t").replace("from u", "from (select 1 a, 'x' b) u");
    sql.replace("join u u", "join (select 1 a) u").replace(", t t", ", (select 1 a) t")
}

#[test]
fn every_shape_is_planned_or_refused() {
    on_half_a_stack(|| {
        for times in [200, 450, 990, 2500, 100_000] {
            for sql in shapes::shapes(times) {
                let sql = over_system_tables(&sql);
                let started = env::clock::now();
                let outcome = plan(&sql);
                let shown: String = sql.chars().take(60).collect();
                println!("{times:>7} {:>6} ms {outcome:?} {shown}", started.elapsed().as_millis());
            }
        }
    });
}

#[test]
fn random_statements_are_planned_or_refused() {
    on_half_a_stack(|| {
        let given = std::env::var("NUNATAK_EXTREMES").ok().and_then(|given| given.parse().ok());
        for seed in 0..given.unwrap_or(STATEMENTS) {
            let sql = shapes::statement(seed);
            println!("{seed}: {}", sql.chars().take(80).collect::<String>());
            let _ = plan(&over_system_tables(&sql));
        }
    });
}

#[test]
fn what_people_write_is_planned() {
    on_half_a_stack(|| {
        let many = |item: &str, between: &str, times: usize| vec![item; times].join(between);
        for sql in [
            many("select 1", " union all ", 5000),
            many("select 1", " union ", 5000),
            format!("select 1 from (select 1 a) t where {}", many("a <> 1", " and ", 1200)),
            format!("select {}", many("(select 1)", ", ", 1600)),
            format!("select 1 from (select 1 a) t where {}", many("a in (select 1)", " or ", 1600)),
            format!("values {}", many("((select 1))", ", ", 3000)),
            format!("select {}", many("1", " + ", 700)),
            format!("select {}1{}", "(".repeat(150), ")".repeat(150)),
            format!("select {}1{}", "(select ".repeat(60), ")".repeat(60)),
            format!(
                "select 1 from {}",
                (0..300).map(|i| format!("(select 1) s{i}")).collect::<Vec<_>>().join(", ")
            ),
        ] {
            assert_eq!(plan(&sql), Ok(1), "{}", sql.chars().take(60).collect::<String>());
        }
    });
}
