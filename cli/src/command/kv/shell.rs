//! A shell of the key-value service: each line is a transaction by itself, unless one was begun.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::dialogue::{carry_out, next_line};
use super::order::{Order, parse};
use super::service::Service;
use crate::failure::Failure;
use crate::output::{errln, outln};

const HELP: &str = "get KEY              the value of a key
set KEY VALUE        put a value in place of what was there
delete KEY           remove a key
scan [START [END]]   keys and their values, from START on, up to END
begin [read only]    begin a transaction: the lines that follow are part of it
commit, rollback     end it
help, quit

Keys and values are printable ASCII, with \\xNN for other bytes and \\\\ for a backslash; a blank in a key is \\x20.";

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Order(Order),
    Begin { read_only: bool },
    Help,
    Leave,
}

impl Entry {
    fn read(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["begin"] => Ok(Self::Begin { read_only: false }),
            ["begin", "read", "only"] => Ok(Self::Begin { read_only: true }),
            ["help" | "\\?"] => Ok(Self::Help),
            ["quit" | "exit" | "\\q"] => Ok(Self::Leave),
            _ => parse(line).map(Self::Order),
        }
    }
}

/// Why a line was not carried out.
enum Trouble {
    /// It makes no sense; a transaction goes on.
    Wrong(String),
    /// It has failed, and a transaction with it.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Wrong(message) => Failure::failed(message),
            Self::Failed(failure) => failure,
        }
    }
}

/// A shell.
pub(super) struct Shell {
    service: Service,
    transaction: Option<u64>,
}

impl Shell {
    pub(super) fn new(service: Service) -> Self {
        Self { service, transaction: None }
    }

    /// Carries out these lines, or those of standard input if there are none; if that is a terminal, what a person types.
    pub(super) async fn run(mut self, lines: Vec<String>) -> Result<(), Failure> {
        if lines.is_empty() && std::io::stdin().is_terminal() {
            return self.talk().await;
        }
        let outcome = self.run_lines(lines).await;
        self.end().await;
        outcome.map_err(Trouble::into_failure)
    }

    /// Carries out lines until one of them fails.
    async fn run_lines(&mut self, lines: Vec<String>) -> Result<(), Trouble> {
        if lines.is_empty() {
            while let Some(line) = next_line().await? {
                if !self.enter(&line).await? {
                    break;
                }
            }
            return Ok(());
        }
        for line in lines {
            if !self.enter(&line).await? {
                break;
            }
        }
        Ok(())
    }

    /// Carries out what a person types, until that leaves.
    async fn talk(mut self) -> Result<(), Failure> {
        let failed = |error| Failure::failed(format!("cannot edit lines on this terminal: {error}"));
        let mut editor = DefaultEditor::new().map_err(failed)?;
        let history: Option<PathBuf> = std::env::home_dir().map(|home| home.join(".nunatak_kv_history"));
        if let Some(history) = &history {
            // There is none the first time.
            let _ = editor.load_history(history);
        }
        outln!("Keys and values: help lists what there is to say, quit leaves.");
        loop {
            let prompt = if self.transaction.is_some() { "kv*> " } else { "kv> " };
            let read = env::task::blocking(move || {
                let line = editor.readline(prompt);
                (editor, line)
            });
            let (back, line) = read.await.map_err(Failure::failed)?;
            editor = back;
            let line = match line {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(Failure::failed(format!("cannot read the terminal: {error}"))),
            };
            if !line.trim().is_empty() {
                // A history that is full forgets.
                let _ = editor.add_history_entry(line.as_str());
            }
            match self.enter(&line).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(trouble) => {
                    if let Some(line) = trouble.into_failure().line() {
                        errln!("{line}");
                    }
                }
            }
        }
        if let Some(history) = &history
            && let Err(error) = editor.save_history(history)
        {
            tracing::warn!(%error, "the history could not be saved");
        }
        self.end().await;
        Ok(())
    }

    /// Carries out a line; false: it is the last one.
    async fn enter(&mut self, line: &str) -> Result<bool, Trouble> {
        match Entry::read(line).map_err(Trouble::Wrong)? {
            Entry::Leave => return Ok(false),
            Entry::Help => outln!("{HELP}"),
            Entry::Begin { read_only } => {
                if self.transaction.is_some() {
                    return Err(Trouble::Wrong("a transaction is open already".to_owned()));
                }
                self.transaction = Some(self.service.begin(read_only).await?);
            }
            Entry::Order(Order::Commit) => {
                let transaction = self.open()?;
                self.transaction = None;
                self.service.commit(transaction).await?;
            }
            Entry::Order(Order::Rollback) => {
                let transaction = self.open()?;
                self.transaction = None;
                self.service.rollback(transaction).await?;
            }
            Entry::Order(order) => {
                let carried_out = carry_out(&mut self.service, self.transaction.unwrap_or(0), order).await;
                if let Err(failure) = carried_out {
                    self.end().await;
                    return Err(failure.into());
                }
            }
        }
        Ok(true)
    }

    fn open(&self) -> Result<u64, Trouble> {
        self.transaction.ok_or_else(|| Trouble::Wrong("no transaction is open: begin one".to_owned()))
    }

    /// Rolls back the transaction that is open, if there is one, and says so.
    async fn end(&mut self) {
        let Some(transaction) = self.transaction.take() else { return };
        // It ends by itself where this cannot be said.
        let _ = self.service.rollback(transaction).await;
        errln!("the transaction is rolled back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_entries() {
        for (line, entry) in [
            (" begin ", Entry::Begin { read_only: false }),
            ("begin  read only", Entry::Begin { read_only: true }),
            ("help", Entry::Help),
            ("\\q", Entry::Leave),
            ("get a", Entry::Order(Order::Get(b"a".to_vec()))),
            ("set begin b", Entry::Order(Order::Set(b"begin".to_vec(), b"b".to_vec()))),
            ("", Entry::Order(Order::Nothing)),
        ] {
            assert_eq!(Entry::read(line), Ok(entry), "{line}");
        }
        assert!(Entry::read("begin now").is_err());
    }
}
