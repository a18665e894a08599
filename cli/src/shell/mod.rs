//! The SQL shell, for people and for scripts.
//!
//! `splitter` finds where statements end, `connection` runs them, `meta` answers what begins with a backslash,
//! `editor` reads lines. Any server that speaks PostgreSQL will do.

mod connection;
mod editor;
mod meta;
mod printing;
mod splitter;
mod tls;

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use connection::Connection;
pub(crate) use connection::Server;
use editor::Editor;
use meta::Outcome;
pub(crate) use tls::TlsArguments;

use crate::failure::Failure;
use crate::output::{errln, outln};
use splitter::{Piece, Splitter};

/// Statements to run without a person.
#[derive(Debug)]
pub(crate) enum Script {
    /// These, as one query string.
    Text(String),
    /// Those in a file, one by one.
    File(PathBuf),
    /// Those on standard input, one by one.
    StandardInput,
}

/// Runs scripts until the first error.
pub(crate) async fn run_script(server: &Server, scripts: Vec<Script>) -> Result<(), Failure> {
    let mut shell = Shell { connection: Connection::open(server).await?, timing: false };
    for script in scripts {
        match script {
            Script::Text(text) if text.trim_start().starts_with('\\') => {
                if !shell.run_text(&text).await {
                    return Err(Failure::Told);
                }
            }
            Script::Text(text) => {
                if !shell.run_together(&text).await {
                    return Err(Failure::Told);
                }
            }
            Script::File(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                if !shell.run_text(&text).await {
                    return Err(Failure::Told);
                }
            }
            Script::StandardInput => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
                if !shell.run_text(&text).await {
                    return Err(Failure::Told);
                }
            }
        }
    }
    Ok(())
}

/// Reads statements from the terminal until the person leaves; from standard input if that is no terminal.
pub(crate) async fn run_interactive(server: &Server) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return run_script(server, vec![Script::StandardInput]).await;
    }
    let mut shell = Shell { connection: Connection::open(server).await?, timing: false };
    outln!(
        "Connected to a server of version {}. Type \\? for help, \\q to leave.",
        shell.connection.server()
    );
    let mut editor = Editor::new()?;
    loop {
        let prompt = shell.connection.prompt();
        let (back, line) = editor.read(prompt).await?;
        editor = back;
        let Some(text) = line else { break };
        match shell.run_entered(&text).await {
            Outcome::Leave => break,
            Outcome::Done | Outcome::Failed => {}
        }
        if shell.connection.is_closed() {
            errln!("The connection is lost; connecting again.");
            shell.connection = Connection::open(server).await?;
        }
    }
    editor.save();
    Ok(())
}

/// A shell at work.
struct Shell {
    connection: Connection,
    /// Whether each statement's time is printed.
    timing: bool,
}

impl Shell {
    /// Runs one query string as the server takes it: as one implicit transaction. False: there was an error.
    async fn run_together(&mut self, text: &str) -> bool {
        let statements = splitter::split(text);
        self.connection.run(text, &statements, self.timing).await
    }

    /// Runs what a file holds, piece by piece. False: there was an error, and nothing after it was run.
    async fn run_text(&mut self, text: &str) -> bool {
        let mut splitter = Splitter::new(text);
        while let Some(piece) = splitter.next_piece() {
            let ok = match piece {
                Piece::Meta(command) => match self.run_meta(command).await {
                    Outcome::Leave => return true,
                    Outcome::Done => true,
                    Outcome::Failed => false,
                },
                Piece::Statement(statement) if splitter::is_copy_from_stdin(statement) => {
                    let data = splitter.take_copy_data();
                    self.connection.copy_in(statement, data.as_bytes(), self.timing).await
                }
                Piece::Statement(statement) => {
                    self.connection.run(statement, &[statement.to_owned()], self.timing).await
                }
            };
            if !ok {
                return false;
            }
        }
        true
    }

    /// Runs what a person entered; COPY FROM STDIN reads the lines that follow.
    async fn run_entered(&mut self, text: &str) -> Outcome {
        if text.trim_start().starts_with('\\') {
            return self.run_meta(text.trim()).await;
        }
        for statement in splitter::split(text) {
            let ok = if splitter::is_copy_from_stdin(&statement) {
                outln!("Enter the data, one row a line; end with \\. on a line of its own.");
                let data = copy_lines();
                self.connection.copy_in(&statement, data.as_bytes(), self.timing).await
            } else {
                self.connection.run(&statement, std::slice::from_ref(&statement), self.timing).await
            };
            if !ok {
                return Outcome::Failed;
            }
        }
        Outcome::Done
    }
}

/// Lines up to `\.` or the end of input.
fn copy_lines() -> String {
    let mut data = String::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "\\." {
            break;
        }
        data.push_str(&line);
        data.push('\n');
    }
    data
}
