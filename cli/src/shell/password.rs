//! Asking a person for a password.

use std::borrow::Cow;
use std::io::IsTerminal;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, ColorMode, Config, Helper};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Shows nothing of what is typed.
struct Mask;

impl Helper for Mask {}

impl Completer for Mask {
    type Candidate = String;
}

impl Hinter for Mask {
    type Hint = String;
}

impl Validator for Mask {}

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(" ".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

/// Whether there is somebody to be asked.
pub(super) fn can_be_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal; `None`: there is no answer. It blocks.
pub(super) fn ask(user: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let failed = |error: ReadlineError| Failure::failed(format!("cannot ask for a password: {error}"));
    // Where results go to a file it is the terminal all the same; where there are no colours, nothing is shown either.
    let config = Config::builder()
        .behavior(Behavior::PreferTerm)
        .color_mode(ColorMode::Forced)
        .auto_add_history(false)
        .build();
    let mut lines: rustyline::Editor<Mask, DefaultHistory> =
        rustyline::Editor::with_config(config).map_err(failed)?;
    lines.set_helper(Some(Mask));
    match lines.readline(format!("Password for user {user}: ").as_str()) {
        Ok(line) => Ok(Some(Zeroizing::new(line))),
        Err(ReadlineError::Interrupted | ReadlineError::Eof) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
