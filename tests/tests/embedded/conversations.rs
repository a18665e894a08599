//! Sessions beside each other, message by message, as PostgreSQL 15 answers them: each script in `tests/conversations`
//! is played, and its transcript compared with the one that was recorded from PostgreSQL.
//!
//! To record anew (needs PostgreSQL 15 running, `initdb --locale=C`):
//! `NUNATAK_RECORD=127.0.0.1:5432 cargo test -p nunatak-tests --test embedded conversations`

use std::fs;
use std::path::{Path, PathBuf};

use nunatak_tests::conversations::transcript;
use nunatak_tests::embedded::Embedded;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
    let entries = fs::read_dir(folder).expect("tests/conversations");
    let mut scripts: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    if let Ok(only) = std::env::var("NUNATAK_ONLY") {
        scripts.retain(|path| path.to_string_lossy().contains(&only));
    }
    scripts.sort();
    scripts
}

/// The first lines in which two transcripts differ, with the steps before them.
fn difference(ours: &str, theirs: &str) -> Option<String> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
    let length = ours.len().max(theirs.len());
    let place = (0..length).find(|place| ours.get(*place) != theirs.get(*place))?;
    let around = |lines: &[&str]| {
        let (from, to) = (place.saturating_sub(6).min(lines.len()), (place + 6).min(lines.len()));
        lines[from..to].join("\n")
    };
    Some(format!("--- ours\n{}\n--- PostgreSQL\n{}\n", around(&ours), around(&theirs)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_answered_as_by_postgresql() {
    if let Ok(address) = std::env::var("NUNATAK_RECORD") {
        for script in scripts() {
            transcript(&address, "a: drop schema public cascade; create schema public").await;
            let text = fs::read_to_string(&script).expect("the script");
            let recorded = transcript(&address, &text).await;
            fs::write(script.with_extension("out"), recorded).expect("the recording");
        }
        return;
    }
    let mut broken = Vec::new();
    for script in scripts() {
        let cluster = Embedded::start().await;
        let text = fs::read_to_string(&script).expect("the script");
        let recorded = fs::read_to_string(script.with_extension("out")).expect("the recording");
        let played = tokio::spawn(async move {
            let answer = transcript(&cluster.address(), &text).await;
            cluster.stop().await;
            answer
        });
        let name = script.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match played.await {
            Ok(answer) => {
                if let Some(difference) = difference(&answer, &recorded) {
                    broken.push(format!("==== {name}\n{difference}"));
                }
            }
            Err(panic) => broken.push(format!("==== {name}\n{panic}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
