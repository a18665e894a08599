//! Clients in closed loops: each sends its next operation when the last one is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{clock, random, task};

use super::{Store, Work};
use crate::failure::{Failure, Result};
use crate::figures::percentile;

/// Writes of the keys under way at a time.
const FILLERS: u64 = 64;

/// What so many clients do.
pub(super) struct Load {
    pub(super) work: Work,
    pub(super) clients: u32,
    /// Keys are taken from so many at random.
    pub(super) keys: u64,
    pub(super) value: Bytes,
}

/// What they got done.
pub(super) struct Done {
    pub(super) operations: u64,
    pub(super) failed: u64,
    pub(super) seconds: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("{number:016}"))
}

/// Writes every key once.
pub(super) async fn fill(store: Arc<dyn Store>, keys: u64, value: Bytes) -> Result<()> {
    let fillers: Vec<_> = (0..FILLERS)
        .map(|first| {
            let (store, value) = (store.clone(), value.clone());
            task::spawn(async move {
                for number in (first..keys).step_by(FILLERS as usize) {
                    store.put(key(number), value.clone()).await?;
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    for filler in fillers {
        filler.await.map_err(|error| complaint(error.to_string()))?.map_err(complaint)?;
    }
    Ok(())
}

fn complaint(output: String) -> Failure {
    Failure::Program { program: "a client".to_owned(), output }
}

impl Load {
    /// Does it for so many seconds. An error that most operations end with is one of this.
    pub(super) async fn run(&self, store: Arc<dyn Store>, seconds: u32) -> Result<Done> {
        let begun = clock::now();
        let end = begun + Duration::from_secs(u64::from(seconds));
        let clients: Vec<_> = (0..self.clients)
            .map(|_| task::spawn(client(self.work, self.keys, self.value.clone(), store.clone(), end)))
            .collect();
        let (mut latencies, mut failed, mut last) = (Vec::new(), 0, String::new());
        for client in clients {
            let (own, errors) = client.await.map_err(|error| complaint(error.to_string()))?;
            latencies.extend(own);
            failed += errors.len() as u64;
            last = errors.into_iter().next_back().unwrap_or(last);
        }
        let seconds = begun.elapsed().as_secs_f64();
        if failed > latencies.len() as u64 {
            return Err(complaint(last));
        }
        latencies.sort_by(f64::total_cmp);
        let (p50_us, p99_us) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
        Ok(Done { operations: latencies.len() as u64, failed, seconds, p50_us, p99_us })
    }
}

/// The latencies of what went well, in microseconds, and how the others ended.
async fn client(
    work: Work,
    keys: u64,
    value: Bytes,
    store: Arc<dyn Store>,
    end: clock::Instant,
) -> (Vec<f64>, Vec<String>) {
    const ERRORS_MAX: usize = 1000;
    let (mut latencies, mut errors) = (Vec::new(), Vec::new());
    let mut now = clock::now();
    while now < end && errors.len() < ERRORS_MAX {
        let key = key(random::below(keys));
        let outcome = match work {
            Work::Put => store.put(key, value.clone()).await,
            Work::Get => match store.get(key).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("a key is missing".to_owned()),
                Err(error) => Err(error),
            },
        };
        let after = clock::now();
        match outcome {
            Ok(()) => latencies.push((after - now).as_secs_f64() * 1e6),
            Err(error) => errors.push(error),
        }
        now = after;
    }
    (latencies, errors)
}
