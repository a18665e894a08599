//! How statements are planned: each script in `tests/plans` explains statements, and its transcript is compared with the
//! recorded one, but for the numbers of what steps are taken for. There is no oracle for plans; a change of them is looked at and
//! recorded anew:
//! `NUNATAK_RECORD_PLANS=1 cargo test -p nunatak-tests --test embedded plans`

use std::fs;
use std::path::Path;

use nunatak_tests::embedded::Embedded;
use nunatak_tests::golden::transcript;

/// A transcript without the numbers of costs, as PostgreSQL writes them.
fn masked(transcript: &str) -> String {
    let mut masked = String::with_capacity(transcript.len());
    let mut rest = transcript;
    while let Some((before, costs)) = rest.split_once("  (cost=") {
        let (numbers, behind) = costs.split_once(')').expect("the end of costs");
        let numbers: Vec<&str> = numbers.split("..").flat_map(|part| part.split(' ')).collect();
        let values = numbers.iter().map(|part| part.trim_start_matches("rows=").trim_start_matches("width="));
        let kinds: Vec<(usize, bool)> = values
            .map(|value| {
                let digits = value.split_once('.').map_or(0, |(_, digits)| digits.len());
                (digits, value.parse::<f64>().is_ok_and(|value| value >= 0.0))
            })
            .collect();
        assert_eq!(kinds, [(2, true), (2, true), (0, true), (0, true)], "costs are {numbers:?}");
        masked.push_str(before);
        masked.push_str("  (cost=N..N rows=N width=N)");
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_planned_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder).expect("tests/plans") {
        let script = entry.expect("an entry").path();
        if script.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let cluster = Embedded::start().await;
        let text = fs::read_to_string(&script).expect("the script");
        let planned = masked(&transcript(&cluster.url(), &text).await);
        cluster.stop().await;
        let recording = script.with_extension("out");
        if std::env::var_os("NUNATAK_RECORD_PLANS").is_some() {
            fs::write(recording, planned).expect("the recording");
            continue;
        }
        let recorded = fs::read_to_string(recording).expect("the recording");
        let pairs = planned.split("\n\n").zip(recorded.split("\n\n"));
        broken.extend(
            pairs
                .filter(|(now, then)| now != then)
                .map(|(now, then)| format!("--- now\n{now}\n--- recorded\n{then}\n")),
        );
        assert_eq!(planned.split("\n\n").count(), recorded.split("\n\n").count(), "{}", script.display());
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
