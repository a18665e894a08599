//! The thread that writes: one write for as many of the lines that have come meanwhile as make a good portion.
//!
//! A write that fails is tried again until it goes well: what was handed over is not forgotten. What of a line was written
//! before the failure stays, and its rest follows, unless the file was opened anew in between: then the whole line does.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;

use crate::queue::{Queue, Work};
use crate::record::Record;

/// Pause between attempts to write.
const RETRY: Duration = Duration::from_millis(250);

/// Pause until there may be room where one is not made to wait for it: the write goes on.
const FULL: Duration = Duration::from_millis(10);

/// About so much is written at once: how long that takes tells whether the stream hangs, or is slow.
const PORTION_BYTES: usize = 256 << 10;

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file of their own.
    File(PathBuf),
    /// Standard output.
    StandardOutput,
}

/// Where lines go.
pub(crate) struct Stream {
    file: File,
    /// Its name, if it has one by which it can be opened anew.
    path: Option<PathBuf>,
}

impl Stream {
    /// Opens it. A new file can be read by nobody but its owner.
    pub(crate) fn open(destination: Destination) -> std::io::Result<Self> {
        Ok(match destination {
            Destination::File(path) => Self { file: appended(&path)?, path: Some(path) },
            // Not through the library's buffer, which splits what is large and whose lock others wait for.
            Destination::StandardOutput => {
                Self { file: std::io::stdout().as_fd().try_clone_to_owned()?.into(), path: None }
            }
        })
    }

    /// Whether it begins with a new line from here on: what was written of one before is not to go on.
    fn reopen(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        match appended(path) {
            Ok(opened) => {
                self.file = opened;
                true
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the audit log cannot be opened anew; the file before goes on");
                false
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

/// Writes until the queue is over.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) stream: Stream,
    pub(crate) records: Counter,
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
            self.records.increment(lines as u64);
            if work.reopens {
                self.queue.begin_write();
                self.stream.reopen();
                self.queue.end_write(Ok(()));
            }
            self.queue.done(&work);
        }
    }

    fn told_dropped(&self, dropped: u64) -> String {
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
        let mut at = 0;
        while let Some(rest) = work.lines.get(at..).filter(|rest| !rest.is_empty()) {
            self.queue.begin_write();
            let written = match self.stream.file.write(portion(rest)) {
                Ok(0) => Err(std::io::Error::from(ErrorKind::WriteZero)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                written => written,
            };
            let is_full = written.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            if !is_full {
                self.queue.end_write(written.as_ref().map(|_| ()));
            }
            if let Ok(written) = written {
                at += written;
                continue;
            }
            match self.queue.pause(if is_full { FULL } else { RETRY }) {
                None => return false,
                Some(false) => {}
                Some(true) => {
                    if self.stream.reopen() {
                        at = line_start(&work.lines, at);
                    }
                }
            }
        }
        true
    }
}

/// As many whole lines as make a portion; one at least.
fn portion(lines: &[u8]) -> &[u8] {
    let Some(front) = lines.get(..PORTION_BYTES) else { return lines };
    let newline = |byte: &u8| *byte == b'\n';
    let last = front.iter().rposition(newline).or_else(|| lines.iter().position(newline));
    last.and_then(|last| lines.get(..=last)).unwrap_or(lines)
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
            |bytes: &[u8]| Stream::open(Destination::File(path.clone())).unwrap().file.write(bytes).unwrap();
        append(b"{}\n{\"half");
        append(b"{}\n");
        append(b"{}\n");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{}\n{\"half\n{}\n{}\n");
    }

    #[test]
    fn a_portion_is_of_whole_lines() {
        let long = [vec![b'x'; PORTION_BYTES], b"\n".to_vec()].concat();
        assert_eq!(portion(b"a\nb\n"), b"a\nb\n");
        assert_eq!(portion(&[b"a\nb\n".to_vec(), long.clone()].concat()), b"a\nb\n");
        assert_eq!(portion(&[long.clone(), b"a\n".to_vec()].concat()), long);
        assert_eq!(portion(&long[..PORTION_BYTES]), &long[..PORTION_BYTES]);
    }
}
