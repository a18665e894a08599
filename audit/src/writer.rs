//! The thread that writes: one write for all lines that have come meanwhile.
//!
//! A write that fails is tried again until it goes well: what was handed over is not forgotten. What of a line was written
//! before the failure stays, and its rest follows, unless the file was opened anew in between: then the whole line does.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};

use crate::queue::{Queue, Work};
use crate::record::Record;

/// Pause between attempts to write.
const RETRY: Duration = Duration::from_millis(250);

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file of their own.
    File(PathBuf),
    /// Standard output.
    StandardOutput,
}

/// Where lines go.
pub(crate) enum Stream {
    File { path: PathBuf, file: File },
    StandardOutput,
}

impl Stream {
    /// Opens it. A new file can be read by nobody but its owner.
    pub(crate) fn open(destination: Destination) -> std::io::Result<Self> {
        Ok(match destination {
            Destination::File(path) => Self::File { file: appended(&path)?, path },
            Destination::StandardOutput => Self::StandardOutput,
        })
    }

    /// Whether it begins with a new line from here on: what was written of one before is not to go on.
    fn reopen(&mut self) -> bool {
        let Self::File { path, file } = self else { return false };
        match appended(path) {
            Ok(opened) => {
                *file = opened;
                true
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the audit log cannot be opened anew; the file before goes on");
                false
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::StandardOutput => {
                let mut out = std::io::stdout().lock();
                let written = out.write(bytes)?;
                out.flush().map(|()| written)
            }
        }
    }
}

/// The file, ready for a new line: whoever wrote it before may have ended within one.
fn appended(path: &Path) -> std::io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if let Some(end) = file.metadata()?.len().checked_sub(1) {
        file.read_at(&mut last, end)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// What is counted.
pub(crate) struct WriterMetrics {
    pub(crate) records: Counter,
    pub(crate) dropped: Counter,
    pub(crate) failing: Gauge,
}

/// Writes until the queue is over.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) stream: Stream,
    pub(crate) metrics: WriterMetrics,
    pub(crate) gateway: Arc<std::sync::OnceLock<String>>,
}

impl Writer {
    pub(crate) fn run(mut self) {
        while let Some(mut work) = self.queue.next() {
            if work.dropped > 0 {
                let told = self.told_dropped(work.dropped);
                work.lines = [told.into_bytes(), std::mem::take(&mut work.lines)].concat();
            }
            if !self.write_all(&work) {
                return;
            }
            let lines = work.lines.iter().filter(|byte| **byte == b'\n').count();
            self.metrics.records.increment(lines as u64);
            if work.reopens {
                self.stream.reopen();
            }
            self.queue.done(&work);
        }
    }

    fn told_dropped(&self, dropped: u64) -> String {
        self.metrics.dropped.increment(dropped);
        tracing::error!(dropped, "the audit log did not take records in time: they are lost");
        let record = Record {
            class: "MISC",
            command: "DROPPED".to_owned(),
            outcome: "lost".to_owned(),
            dropped: Some(dropped),
            ..Record::default()
        };
        record.line(self.gateway.get().map_or("", String::as_str), env::clock::wall_us())
    }

    /// Writes the lines, however often that fails; false: the queue is over before that.
    fn write_all(&mut self, work: &Work) -> bool {
        let (mut at, mut is_failing) = (0, false);
        while let Some(rest) = work.lines.get(at..).filter(|rest| !rest.is_empty()) {
            let error = match self.stream.write(rest) {
                Ok(0) => std::io::Error::from(ErrorKind::WriteZero),
                Ok(written) => {
                    at += written;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if !is_failing {
                is_failing = true;
                self.metrics.failing.set(1.0);
                tracing::error!(%error, "the audit log cannot be written");
                self.queue.set_failing(true);
            }
            match self.queue.pause(RETRY) {
                None => return false,
                Some(false) => {}
                Some(true) => {
                    if self.stream.reopen() {
                        at = line_start(&work.lines, at);
                    }
                }
            }
        }
        if is_failing {
            self.metrics.failing.set(0.0);
            tracing::info!("the audit log is written again");
            self.queue.set_failing(false);
        }
        true
    }
}

/// Where the line begins that this place is in.
fn line_start(lines: &[u8], at: usize) -> usize {
    let before = lines.get(..at).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_not_ended_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let append =
            |bytes: &[u8]| Stream::open(Destination::File(path.clone())).unwrap().write(bytes).unwrap();
        append(b"{}\n{\"half");
        append(b"{}\n");
        append(b"{}\n");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{}\n{\"half\n{}\n{}\n");
    }
}
