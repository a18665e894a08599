//! Files that change while they are in use.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Modified when, how long, and which file it is: another one may have been put in its place.
type Stamp = (SystemTime, u64, u64);

/// Some files, and how they were when they were looked at last.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

impl Watched {
    /// These files, as they are now.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let seen = stamps(&paths);
        Self { paths, seen }
    }

    /// Completes once one of them has changed since the last time. Cancelled, it notices the change the next time.
    pub async fn changed(&mut self) {
        loop {
            env::clock::sleep(LOOK).await;
            let now = stamps(&self.paths);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| stamp(path)).collect()
}

/// Nothing of a file that is not there.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
