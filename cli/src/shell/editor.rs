//! Reading what a person types: history, completion, colours. An entry may take many lines, each with a prompt that says
//! within what it is; the history holds it whole.

use std::borrow::Cow;
use std::path::PathBuf;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};

use super::completion::{complete, is_keyword};
use super::lexer::{Token, token};
use super::names::Names;
use super::splitter::{is_complete, open_mark};
use crate::failure::Failure;

/// Entries that are remembered.
const HISTORY_MAX: usize = 10_000;

/// Commands whose argument is a file.
const TAKE_FILES: [&str; 8] = ["\\i", "\\ir", "\\include", "\\o", "\\out", "\\g", "\\e", "\\edit"];

/// What the line editor asks about the text.
struct Assistant {
    /// The lines that stand before this one.
    before: String,
    names: Names,
    commands: Vec<&'static str>,
    colours: bool,
    files: FilenameCompleter,
}

impl Helper for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let mut words = line.get(..at).unwrap_or(line).split_whitespace().rev();
        let last = words.next().unwrap_or("");
        let previous = if line.ends_with(char::is_whitespace) { last } else { words.next().unwrap_or("") };
        let is_copy = line.trim_start().starts_with("\\copy") && matches!(previous, "from" | "to");
        if TAKE_FILES.contains(&previous) || is_copy {
            return self.files.complete_path(line, at);
        }
        let (whole, above) = (format!("{}{line}", self.before), self.before.len());
        let (start, offered) = complete(&self.names, &self.commands, &whole, above + at);
        let pair = |text: String| Pair { display: text.trim_end().to_owned(), replacement: text };
        Ok((start.saturating_sub(above), offered.into_iter().map(pair).collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.colours { Cow::Owned(coloured(&self.before, line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        // A transaction that is open, or has failed, should not be overlooked.
        let colour = match prompt.chars().rev().nth(2) {
            Some('*') => "33",
            Some('!') => "31",
            _ => "1",
        };
        if self.colours {
            Cow::Owned(format!("\x1b[{colour}m{prompt}\x1b[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.colours && kind != CmdKind::MoveCursor
    }
}

impl Validator for Assistant {}

/// A line of SQL in colours; `before` are those above it, whose quotes and comments may go on in it.
fn coloured(before: &str, line: &str) -> String {
    let whole = format!("{before}{line}");
    let mut text = String::with_capacity(line.len() * 2);
    let mut at = 0;
    while let Some((kind, length, _)) = token(&whole, at) {
        let piece = whole.get(at.max(before.len())..at + length).unwrap_or("");
        let colour = match kind {
            _ if piece.is_empty() => None,
            Token::Word if is_keyword(piece) => Some("1;34"),
            Token::Text => Some("32"),
            Token::Comment => Some("2"),
            Token::Word | Token::Name | Token::Sign => None,
        };
        match colour {
            Some(colour) => text.push_str(&format!("\x1b[{colour}m{piece}\x1b[0m")),
            None => text.push_str(piece),
        }
        at += length;
    }
    text
}

/// What came of reading.
pub(super) enum Entry {
    /// What was entered.
    Text(String),
    /// Ctrl-C: what was entered before is to be forgotten.
    Interrupted,
    /// The person leaves.
    End,
}

/// The line editor.
pub(super) struct Editor {
    lines: rustyline::Editor<Assistant, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// An editor with the history of earlier shells (`~/.nunatak_history`).
    pub(super) fn new(commands: Vec<&'static str>, colours: bool) -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format!("cannot edit lines on this terminal: {error}"));
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)
            .map_err(failed)?
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .build();
        let mut lines = rustyline::Editor::with_config(config).map_err(failed)?;
        lines.set_helper(Some(Assistant {
            before: String::new(),
            names: Names::default(),
            commands,
            colours,
            files: FilenameCompleter::new(),
        }));
        let history = std::env::home_dir().map(|home| home.join(".nunatak_history"));
        if let Some(history) = &history {
            // There is none the first time.
            let _ = lines.load_history(history);
        }
        Ok(Self { lines, history })
    }

    /// What completion offers from now on.
    pub(super) fn offer(&mut self, names: Names) {
        if let Some(assistant) = self.lines.helper_mut() {
            assistant.names = names;
        }
    }

    /// Columns and lines of the terminal.
    pub(super) fn screen(&mut self) -> Option<(usize, usize)> {
        self.lines.dimensions().map(|(columns, lines)| (usize::from(columns), usize::from(lines)))
    }

    /// The next entry, in a database whose name begins the prompt; `mark` follows that, and `before` is what is open already.
    /// The terminal is read on a thread of its own.
    pub(super) async fn read(
        mut self,
        database: &str,
        mark: &str,
        before: &str,
    ) -> Result<(Self, Entry), Failure> {
        let (database, before) = (database.to_owned(), before.to_owned());
        let mut prompt = format!("{database}{mark}> ");
        let reading = env::task::blocking(move || {
            let mut entered = String::new();
            let entry = loop {
                let above = above(&before, &entered);
                if !entered.is_empty() {
                    prompt = format!("{database}{}> ", open_mark(&above));
                }
                if let Some(assistant) = self.lines.helper_mut() {
                    assistant.before = above;
                }
                match self.lines.readline(&prompt) {
                    Ok(line) if entered.is_empty() && line.trim().is_empty() => {}
                    Ok(line) => {
                        entered.push_str(&line);
                        if is_complete(&before, &entered) {
                            // A history that is full, or does not take it, is no reason to ask again.
                            let _ = self.lines.add_history_entry(entered.as_str());
                            break Ok(Entry::Text(entered));
                        }
                        entered.push('\n');
                    }
                    Err(ReadlineError::Interrupted) => break Ok(Entry::Interrupted),
                    Err(ReadlineError::Eof) => break Ok(Entry::End),
                    Err(error) => break Err(Failure::failed(format!("cannot read the terminal: {error}"))),
                }
            };
            (self, entry)
        });
        let (editor, entry) = reading.await.map_err(Failure::failed)?;
        Ok((editor, entry?))
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

/// The lines above the next one.
fn above(before: &str, entered: &str) -> String {
    match before {
        "" => entered.to_owned(),
        before => format!("{before}\n{entered}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_on_in_the_next_line() {
        assert_eq!(coloured("select 'a\n", "b' from"), "\x1b[32mb'\x1b[0m \x1b[1;34mfrom\x1b[0m");
        assert_eq!(coloured("select 1\n", "from"), "\x1b[1;34mfrom\x1b[0m");
    }

    #[test]
    fn colours_change_no_letter() {
        let line = "select 'a', \"b\" from t -- end";
        let text = coloured("", line);
        assert!(text.starts_with("\x1b[1;34mselect\x1b[0m \x1b[32m'a'\x1b[0m, \"b\""), "{text}");
        let mut bare = text;
        for colour in ["\x1b[1;34m", "\x1b[32m", "\x1b[2m", "\x1b[0m"] {
            bare = bare.replace(colour, "");
        }
        assert_eq!(bare, line);
    }
}
