//! Reading what a person types: history, and many lines as one entry.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Helper};

use super::splitter::is_complete;
use crate::failure::Failure;

/// Entries that are remembered.
const HISTORY_MAX: usize = 10_000;

/// An entry goes on until its statements end.
struct UntilComplete;

impl Completer for UntilComplete {
    type Candidate = String;
}

impl Highlighter for UntilComplete {}

impl Hinter for UntilComplete {
    type Hint = String;
}

impl Helper for UntilComplete {}

impl Validator for UntilComplete {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let complete = is_complete(context.input());
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// The line editor.
pub(super) struct Editor {
    lines: rustyline::Editor<UntilComplete, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// An editor with the history of earlier shells (`~/.nunatak_history`).
    pub(super) fn new() -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format!("cannot edit lines on this terminal: {error}"));
        let config =
            Config::builder().max_history_size(HISTORY_MAX).map_err(failed)?.auto_add_history(true).build();
        let mut lines = rustyline::Editor::with_config(config).map_err(failed)?;
        lines.set_helper(Some(UntilComplete));
        let history = std::env::home_dir().map(|home| home.join(".nunatak_history"));
        if let Some(history) = &history {
            // There is none the first time.
            let _ = lines.load_history(history);
        }
        Ok(Self { lines, history })
    }

    /// The next entry; None when the person leaves. The terminal is read on a thread of its own.
    pub(super) async fn read(mut self, prompt: String) -> Result<(Self, Option<String>), Failure> {
        let reading = env::task::blocking(move || {
            let line = loop {
                match self.lines.readline(&prompt) {
                    Ok(line) if line.trim().is_empty() => {}
                    Ok(line) => break Ok(Some(line)),
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => break Ok(None),
                    Err(error) => break Err(Failure::failed(format!("cannot read the terminal: {error}"))),
                }
            };
            (self, line)
        });
        let (editor, line) = reading.await.map_err(Failure::failed)?;
        Ok((editor, line?))
    }

    /// Keeps the history.
    pub(super) fn save(&mut self) {
        if let Some(history) = &self.history
            && let Err(error) = self.lines.save_history(history)
        {
            tracing::warn!(%error, "the history could not be saved");
        }
    }
}
