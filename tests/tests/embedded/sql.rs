//! SQL as PostgreSQL 15 answers it: each script in `tests/sql` is run, and its transcript compared with the one that
//! was recorded from PostgreSQL.
//!
//! To record anew (needs PostgreSQL 15 running, `initdb --locale=C`):
//! `NUNATAK_RECORD="host=/tmp user=postgres dbname=postgres" cargo test -p nunatak-tests --test embedded sql`

use std::fs;
use std::path::{Path, PathBuf};

use nunatak_tests::embedded::Embedded;
use nunatak_tests::golden::transcript;
use sql::EngineOptions;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder)
        .expect("tests/sql")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    scripts.sort();
    if let Ok(only) = std::env::var("NUNATAK_ONLY") {
        scripts.retain(|path| path.to_string_lossy().contains(&only));
    }
    scripts
}

/// The first lines in which two transcripts differ.
fn difference(ours: &str, theirs: &str) -> String {
    let mut found = Vec::new();
    for (number, pair) in diff(ours, theirs).into_iter().enumerate() {
        found.push(pair);
        if number > 40 {
            found.push("…".to_owned());
            break;
        }
    }
    found.join("\n")
}

/// Pieces (separated by blank lines) that differ.
fn diff(ours: &str, theirs: &str) -> Vec<String> {
    let ours: Vec<&str> = ours.split("\n\n").collect();
    let theirs: Vec<&str> = theirs.split("\n\n").collect();
    let mut found = Vec::new();
    for place in 0..ours.len().max(theirs.len()) {
        let (ours, theirs) =
            (ours.get(place).copied().unwrap_or(""), theirs.get(place).copied().unwrap_or(""));
        if ours != theirs {
            found.push(format!("--- ours\n{ours}\n--- PostgreSQL\n{theirs}\n"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_answer_as_postgresql_does() {
    if let Ok(url) = std::env::var("NUNATAK_RECORD") {
        for script in scripts() {
            let text = fs::read_to_string(&script).expect("the script");
            let preamble = "drop schema public cascade; create schema public; \
                set timezone = 'UTC'; set default_transaction_isolation = 'serializable';\n";
            let answer = transcript(&url, &format!("{preamble}{text}")).await;
            let answer = answer.split_once("\n\n").map_or("", |(_, rest)| rest);
            fs::write(script.with_extension("out"), answer).expect("the recording");
        }
        return;
    }
    let broken = unlike_recorded(&EngineOptions::default()).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every statement that can be is run with parameters for its literals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_whose_literals_are_parameters_answer_the_same() {
    let options = EngineOptions { keeps_texts_at_once: true, ..EngineOptions::default() };
    let broken = unlike_recorded(&options).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every index on a table that is there is built as on a large one: beside others, its entries ingested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_answer_the_same_however_indexes_are_built() {
    let options = EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() };
    let broken = unlike_recorded(&options).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What is answered differently from what was recorded, by script.
async fn unlike_recorded(options: &EngineOptions) -> Vec<String> {
    let mut broken = Vec::new();
    for script in scripts() {
        let cluster = Embedded::start_with(options.clone()).await;
        let text = fs::read_to_string(&script).expect("the script");
        let recorded = fs::read_to_string(script.with_extension("out")).expect("the recording");
        let answer = transcript(&cluster.url(), &text).await;
        if answer != recorded {
            let name = script.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            broken.push(format!("==== {name}\n{}", difference(&answer, &recorded)));
        }
        cluster.stop().await;
    }
    broken
}
