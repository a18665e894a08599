//! Where results go: standard output, a file, a program, or the pager of a terminal.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;
use crate::output::{errln, out};

/// An open target.
#[derive(Debug, Default)]
pub(super) enum Sink {
    /// Standard output.
    #[default]
    Standard,
    /// A file, by its name.
    File(String, File),
    /// A program's standard input.
    Program(Child),
}

impl Sink {
    /// Opens what `\o` and `\g` name: a file, or a program behind a bar.
    pub(super) fn open(target: &str) -> Result<Self, Failure> {
        if let Some(command) = target.strip_prefix('|') {
            return Self::program(command.trim());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(target);
        let file = file.map_err(|error| Failure::failed(format!("{target}: {error}")))?;
        Ok(Self::File(target.to_owned(), file))
    }

    /// Runs a program of the system's shell.
    pub(super) fn program(command: &str) -> Result<Self, Failure> {
        let child = Command::new("sh").args(["-c", command]).stdin(Stdio::piped()).spawn();
        Ok(Self::Program(child.map_err(|error| Failure::failed(format!("{command}: {error}")))?))
    }

    /// The pager that the environment names, or `less`.
    pub(super) fn pager() -> Option<Self> {
        let named = ["NUNATAK_PAGER", "PSQL_PAGER", "PAGER"].iter().find_map(|name| std::env::var(name).ok());
        let command = named.unwrap_or_else(|| "less".to_owned());
        if command.trim().is_empty() {
            return None;
        }
        let mut program = Command::new("sh");
        if std::env::var_os("LESS").is_none() {
            // Leaves the screen as it is, and does not break lines.
            program.env("LESS", "FRSX");
        }
        // A pager that cannot be found is no reason to show nothing.
        let looked = Command::new("sh")
            .args(["-c", &format!("command -v {}", command.split_whitespace().next().unwrap_or("less"))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !looked.is_ok_and(|status| status.success()) {
            return None;
        }
        program.args(["-c", &command]).stdin(Stdio::piped()).spawn().ok().map(Self::Program)
    }

    /// Whether it is standard output.
    pub(super) fn is_standard(&self) -> bool {
        matches!(self, Self::Standard)
    }

    /// Writes all of it. False: nobody reads any more.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let written = match self {
            Self::Standard => {
                let mut output = std::io::stdout().lock();
                output.write_all(bytes).and_then(|()| output.flush())
            }
            Self::File(_, file) => file.write_all(bytes),
            Self::Program(child) => match &mut child.stdin {
                Some(input) => input.write_all(bytes),
                None => Ok(()),
            },
        };
        match (written, &self) {
            (Ok(()), _) => Ok(true),
            (Err(error), Self::Program(_)) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            (Err(error), Self::Standard) if error.kind() == ErrorKind::BrokenPipe => {
                // Ends the process quietly, as for whatever else is printed.
                out!("\n");
                Ok(false)
            }
            (Err(error), Self::File(name, _)) => {
                Err(Failure::failed(format!("cannot write {name}: {error}")))
            }
            (Err(error), _) => Err(Failure::failed(format!("cannot write the result: {error}"))),
        }
    }

    /// Writes text; who complains is told, once.
    pub(super) fn print(&mut self, text: &str) -> bool {
        match self.write(text.as_bytes()) {
            Ok(more) => more,
            Err(failure) => {
                if let Some(line) = failure.line() {
                    errln!("{line}");
                }
                false
            }
        }
    }

    /// Ends it: a program is waited for.
    pub(super) fn close(&mut self) {
        if let Self::Program(mut child) = std::mem::take(self) {
            drop(child.stdin.take());
            if let Err(error) = child.wait() {
                errln!("the program that reads the results cannot be waited for: {error}");
            }
        }
    }
}

/// Where one statement's results go: to a pager if they are longer than the screen, to the sink otherwise.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    sink: &'a mut Sink,
    /// Lines that the screen has, if results are to be paged.
    lines: Option<usize>,
    pager: Option<Sink>,
    ended: bool,
    failed: bool,
}

impl<'a> Outlet<'a> {
    /// `lines` are those of the screen, where results may be paged.
    pub(super) fn new(sink: &'a mut Sink, lines: Option<usize>) -> Self {
        let lines = lines.filter(|_| sink.is_standard());
        Self { sink, lines, pager: None, ended: false, failed: false }
    }

    /// Prints, unless nobody reads any more.
    pub(super) fn print(&mut self, text: &str) {
        if self.lines.is_some_and(|lines| text.lines().count() + 1 > lines) {
            self.lines = None;
            self.pager = Sink::pager();
        }
        self.put(text.as_bytes(), true);
    }

    /// Writes bytes as they are, past the pager. False: nobody reads them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.put(bytes, false);
        !self.ended
    }

    /// Whether some of it could not be written; the person has been told.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn put(&mut self, bytes: &[u8], paged: bool) {
        if self.ended {
            return;
        }
        let sink = match &mut self.pager {
            Some(pager) if paged => pager,
            _ => &mut *self.sink,
        };
        match sink.write(bytes) {
            Ok(more) => self.ended = !more,
            Err(failure) => {
                if let Some(line) = failure.line() {
                    errln!("{line}");
                }
                (self.ended, self.failed) = (true, true);
            }
        }
    }
}

impl Drop for Outlet<'_> {
    fn drop(&mut self) {
        if let Some(pager) = &mut self.pager {
            pager.close();
        }
    }
}
