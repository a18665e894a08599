//! COPY with the data on the shell's side: `\copy TABLE from|to FILE`, and COPY FROM STDIN.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Stdio};

use super::lexer::{Token, token};
use super::sink::{Outlet, Sink};
use super::splitter::Splitter;
use super::{Shell, Source, copy_data};
use crate::failure::Failure;
use crate::output::{errln, outln};

/// What `\copy` says.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    /// The statement for the server.
    statement: String,
    into_table: bool,
    place: Place,
}

/// Where the data is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    File(String),
    Program(String),
    /// What follows in the script, or the results' place.
    Here,
    /// The process's standard input or output.
    Standard,
}

impl Order {
    /// Reads `TABLE [(COLUMNS)] | (QUERY) from|to FILE | program 'COMMAND' | stdin | stdout [OPTIONS]`.
    fn parse(text: &str) -> Option<Self> {
        let (mut at, mut depth) = (0, 0usize);
        while let Some((kind, length, _)) = token(text, at) {
            let piece = text.get(at..at + length)?;
            match (kind, piece) {
                (Token::Sign, "(") => depth += 1,
                (Token::Sign, ")") => depth = depth.saturating_sub(1),
                (Token::Word, _) if depth == 0 && at > 0 => {
                    let into_table = piece.eq_ignore_ascii_case("from");
                    if into_table || piece.eq_ignore_ascii_case("to") {
                        let (place, options) = Place::parse(text.get(at + length..)?)?;
                        let (what, options) = (text.get(..at)?.trim(), options.trim());
                        let direction = if into_table { "FROM STDIN" } else { "TO STDOUT" };
                        let statement = format!("COPY {what} {direction} {options}").trim_end().to_owned();
                        return Some(Self { statement, into_table, place });
                    }
                }
                _ => {}
            }
            at += length;
        }
        None
    }
}

impl Place {
    /// A place, and what follows it.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let text = text.trim_start();
        let (kind, length, ended) = token(text, 0)?;
        let (piece, rest) = text.split_at_checked(length)?;
        if kind == Token::Text && ended {
            return Some((Self::File(unquoted(piece)?), rest));
        }
        match piece.to_ascii_lowercase().as_str() {
            "program" => {
                let rest = rest.trim_start();
                let (kind, length, ended) = token(rest, 0)?;
                let (piece, rest) = rest.split_at_checked(length)?;
                (kind == Token::Text && ended).then_some(())?;
                Some((Self::Program(unquoted(piece)?), rest))
            }
            "stdin" | "stdout" => Some((Self::Here, rest)),
            "pstdin" | "pstdout" => Some((Self::Standard, rest)),
            _ => {
                let end = text.find(char::is_whitespace).unwrap_or(text.len());
                let (name, rest) = text.split_at_checked(end)?;
                Some((Self::File(name.to_owned()), rest))
            }
        }
    }
}

fn unquoted(text: &str) -> Option<String> {
    Some(text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
}

impl Shell {
    /// Runs COPY … FROM STDIN with `data`. False: there was an error.
    pub(super) async fn copy_in(&mut self, statement: &str, data: impl Read) -> bool {
        let started = env::clock::now();
        let error = match self.connection.copy_from(statement, data).await {
            Ok(Ok(count)) => {
                if self.style.format.is_for_people() {
                    self.sink.print(&format!("COPY {count}\n"));
                }
                None
            }
            Ok(Err(error)) => {
                errln!("the data cannot be read: {error}");
                self.block = self.block.after_failure(None);
                return false;
            }
            Err(error) => {
                self.block = self.block.after_failure(None);
                Some(error)
            }
        };
        self.report(statement, error, started)
    }

    /// `\copy`.
    pub(super) async fn copy_here(
        &mut self,
        text: &str,
        splitter: &mut Splitter<'_>,
        source: Source,
    ) -> Result<(), Failure> {
        let order = Order::parse(&self.variables.substitute(text)).ok_or_else(|| {
            Failure::failed(
                "say \\copy TABLE from 'FILE', or \\copy (QUERY) to 'FILE', and options behind it",
            )
        })?;
        let statement = &order.statement;
        let well = match (order.into_table, &order.place) {
            (true, Place::Here) => {
                let data = copy_data(splitter, source)
                    .map_err(|error| Failure::failed(format!("the data cannot be read: {error}")))?;
                self.copy_in(statement, data.as_bytes()).await
            }
            (true, Place::Standard) => self.copy_in(statement, std::io::stdin()).await,
            (true, Place::File(path)) => {
                let file = OpenOptions::new().read(true).open(path);
                let file = file.map_err(|error| Failure::failed(format!("{path}: {error}")))?;
                self.copy_in(statement, file).await
            }
            (true, Place::Program(command)) => {
                let child = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn();
                let mut child = child.map_err(|error| Failure::failed(format!("{command}: {error}")))?;
                let well = match child.stdout.take() {
                    Some(data) => self.copy_in(statement, data).await,
                    None => false,
                };
                let status = child.wait().map_err(Failure::failed)?;
                if !status.success() {
                    return Err(Failure::failed(format!("{command}: {status}")));
                }
                well
            }
            (false, place) => {
                let mut other = match place {
                    Place::File(path) => Some(Sink::open(path)?),
                    Place::Program(command) => Some(Sink::program(command)?),
                    Place::Standard => Some(Sink::Standard),
                    Place::Here => None,
                };
                let started = env::clock::now();
                let is_elsewhere = matches!(place, Place::File(_) | Place::Program(_));
                let mut outlet = Outlet::new(other.as_mut().unwrap_or(&mut self.sink), None);
                let error = self.connection.copy_to(statement, &mut outlet).await.err();
                let is_written = !outlet.has_failed();
                drop(outlet);
                if let Some(mut other) = other {
                    other.close();
                }
                if error.is_some() {
                    self.block = self.block.after_failure(None);
                } else if is_elsewhere && is_written && self.style.format.is_for_people() {
                    outln!("COPY");
                }
                self.report(statement, error, started) && is_written
            }
        };
        if well { Ok(()) } else { Err(Failure::Told) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> (String, bool, Place) {
        let Order { statement, into_table, place } = Order::parse(text).unwrap();
        (statement, into_table, place)
    }

    #[test]
    fn orders_become_statements() {
        let file = |name: &str| Place::File(name.to_owned());
        assert_eq!(
            order("t from /tmp/x.csv csv"),
            ("COPY t FROM STDIN csv".to_owned(), true, file("/tmp/x.csv"))
        );
        assert_eq!(
            order("(select 'to', a from t) TO 'it''s' with (format csv)"),
            ("COPY (select 'to', a from t) TO STDOUT with (format csv)".to_owned(), false, file("it's"))
        );
        assert_eq!(
            order("s.t (a, \"from\") from program 'gzip -d < x'").2,
            Place::Program("gzip -d < x".to_owned())
        );
        assert_eq!(order("t to stdout"), ("COPY t TO STDOUT".to_owned(), false, Place::Here));
        assert_eq!(order("t from pstdin").2, Place::Standard);
        for wrong in ["", "t", "t from", "t from program x", "from"] {
            assert_eq!(Order::parse(wrong), None, "{wrong}");
        }
    }
}
