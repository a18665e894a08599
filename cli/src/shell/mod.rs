//! The SQL shell, for people and for scripts.
//!
//! `splitter` finds where statements end, `connection` runs them, `format` draws what comes back and `sink` takes it
//! to its reader; `backslash` answers what begins with a backslash; `editor` reads lines and completes them. Any server
//! that speaks PostgreSQL will do.

mod backslash;
mod block;
mod completion;
mod connection;
mod copying;
mod describe;
mod editor;
mod format;
mod lexer;
mod manual;
mod names;
mod password;
mod printing;
mod server;
mod sink;
mod splitter;
mod tls;
mod variables;

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use tokio_postgres::error::DbError;

use block::Block;
use connection::Connection;
use editor::{Editor, Entry};
use format::{Expanded, Style};
use names::Names;
use printing::{Verbosity, print_error};
use sink::{Outlet, Sink};
use splitter::{Piece, Splitter};
use variables::Variables;

pub(crate) use connection::{connect, connect_over};
pub(crate) use format::Format;
pub(crate) use server::{Server, Target};
pub(crate) use tls::TlsArguments;

use crate::failure::Failure;
use crate::output::{errln, outln};

/// Files that may include each other, one within the other.
const INCLUDES_MAX: usize = 16;

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

/// How the shell begins.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) format: Format,
    pub(crate) expanded: bool,
    pub(crate) rows_only: bool,
    /// What stands for NULL.
    pub(crate) null: String,
    /// Where results go.
    pub(crate) output: Option<String>,
    /// Variables: NAME=VALUE.
    pub(crate) variables: Vec<String>,
}

/// What came of an entry or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is done.
    Done,
    /// It went wrong, and the person has been told.
    Failed,
    /// The person leaves.
    Leave,
}

impl Outcome {
    fn of(well: bool) -> Self {
        if well { Self::Done } else { Self::Failed }
    }
}

/// Where statements come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A file or standard input: the data of COPY stands behind it, and an error ends it.
    Script,
    /// A person.
    Person,
}

/// Runs scripts until the first error.
pub(crate) async fn run_script(
    server: &Server,
    scripts: Vec<Script>,
    options: &Options,
) -> Result<(), Failure> {
    let mut shell = Shell::open(server, options).await?;
    for script in scripts {
        let is_text = matches!(script, Script::Text(_));
        let outcome = match script {
            Script::Text(text) => shell.run_together(&text).await,
            Script::File(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                shell.run_text(&text, Source::Script).await
            }
            Script::StandardInput => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
                shell.run_text(&text, Source::Script).await
            }
        };
        match outcome {
            Outcome::Done => {}
            Outcome::Leave => break,
            Outcome::Failed if shell.connection.is_closed() => return Err(Failure::Lost),
            Outcome::Failed if is_text => return Err(Failure::Told),
            Outcome::Failed => return Err(Failure::Script),
        }
    }
    let Shell { connection, mut sink, .. } = shell;
    sink.close();
    connection.leave().await;
    Ok(())
}

/// Reads statements from the terminal until the person leaves; from standard input if that is no terminal.
pub(crate) async fn run_interactive(server: &Server, options: &Options) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return run_script(server, vec![Script::StandardInput], options).await;
    }
    let mut shell = Shell::open(server, options).await?;
    shell.is_interactive = true;
    shell.colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if !options.expanded {
        shell.style.expanded = Expanded::Auto;
    }
    shell.greet().await;
    let mut editor = Editor::new(backslash::names(), shell.colours)?;
    loop {
        if shell.names_are_old && shell.block == Block::None {
            shell.names_are_old = false;
            if let Some(names) = Names::of(&shell.connection).await {
                editor.offer(names);
            }
        }
        let database = &shell.connection.database;
        let (back, entry) = editor.read(database, shell.mark(), &shell.buffer).await?;
        editor = back;
        shell.screen = editor.screen();
        let outcome = match entry {
            Entry::End => break,
            Entry::Interrupted => {
                shell.buffer.clear();
                Outcome::Done
            }
            Entry::Text(text) => shell.run_entered(&text).await,
        };
        if outcome == Outcome::Leave {
            break;
        }
        if shell.connection.is_closed() {
            errln!("The connection is lost; connecting again.");
            shell.connect(server.clone()).await?;
        }
    }
    editor.save();
    shell.sink.close();
    Ok(())
}

/// A shell at work.
struct Shell {
    server: Server,
    connection: Connection,
    block: Block,
    style: Style,
    /// Where results go.
    sink: Sink,
    variables: Variables,
    /// Whether each statement's time is printed.
    timing: bool,
    /// Whether long results go to a pager.
    paging: bool,
    /// What has been entered of a statement that has not ended.
    buffer: String,
    /// The last statement that was sent.
    last: String,
    last_error: Option<DbError>,
    is_interactive: bool,
    colours: bool,
    names_are_old: bool,
    /// Columns and lines of the terminal.
    screen: Option<(usize, usize)>,
    includes: usize,
}

impl Shell {
    async fn open(server: &Server, options: &Options) -> Result<Self, Failure> {
        let mut variables = Variables::default();
        for variable in &options.variables {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            if !Variables::is_name(name) || !variables.set(name, value.to_owned()) {
                return Err(Failure::usage(format!("'{variable}' is no variable: NAME=VALUE")));
            }
        }
        let style = Style {
            format: options.format,
            expanded: if options.expanded { Expanded::On } else { Expanded::Off },
            null: options.null.clone(),
            rows_only: options.rows_only,
            columns: None,
        };
        Ok(Self {
            connection: Connection::open(server).await?,
            server: server.clone(),
            block: Block::None,
            style,
            sink: options.output.as_deref().map_or(Ok(Sink::Standard), Sink::open)?,
            variables,
            timing: false,
            paging: true,
            buffer: String::new(),
            last: String::new(),
            last_error: None,
            is_interactive: false,
            colours: false,
            names_are_old: true,
            screen: None,
            includes: 0,
        })
    }

    /// Connects to another place, or again.
    async fn connect(&mut self, server: Server) -> Result<(), Failure> {
        self.connection = Connection::open(&server).await?;
        self.server = server;
        self.block = Block::None;
        self.buffer.clear();
        self.names_are_old = true;
        Ok(())
    }

    async fn greet(&self) {
        let version = match self.connection.query("SELECT pg_catalog.version()").await {
            Ok((_, rows)) => rows.into_iter().flatten().flatten().next(),
            Err(_) => None,
        };
        let version = version.unwrap_or_else(|| format!("PostgreSQL {}", self.connection.version));
        outln!("nunatak {} at {}: {version}", env!("CARGO_PKG_VERSION"), self.connection.place);
        outln!("Type help for help, quit to leave; statements end with a semicolon.\n");
    }

    /// Of the prompt: `=`, `*` within a transaction, `!` in one that has failed; of what goes on [`splitter::open_mark`].
    fn mark(&self) -> &'static str {
        if self.buffer.is_empty() { self.block.mark() } else { splitter::open_mark(&self.buffer) }
    }

    /// Runs one query string as the server takes it: as one implicit transaction.
    async fn run_together(&mut self, text: &str) -> Outcome {
        let mut splitter = Splitter::new(text);
        while let Some(piece) = splitter.next_piece() {
            if matches!(piece, Piece::Command(_)) {
                return self.run_text(text, Source::Script).await;
            }
        }
        Outcome::of(self.send(text, &splitter::split(text), None).await)
    }

    /// Runs what a person entered.
    async fn run_entered(&mut self, text: &str) -> Outcome {
        let bare = splitter::bare_word(text).filter(|_| self.buffer.is_empty());
        self.run_text(bare.unwrap_or(text), Source::Person).await
    }

    /// Runs a text, piece by piece. An error ends it, but in a script with ON_ERROR_STOP off.
    async fn run_text(&mut self, text: &str, source: Source) -> Outcome {
        let mut splitter = Splitter::new(text);
        while let Some(piece) = splitter.next_piece() {
            let outcome = match piece {
                Piece::Command(command) => self.run_command(command, &mut splitter, source).await,
                Piece::Open(text) => {
                    self.keep(text);
                    Outcome::Done
                }
                Piece::Statement(text) => {
                    self.keep(text);
                    self.send_kept(&mut splitter, source).await
                }
            };
            let goes_on = source == Source::Script
                && !self.variables.is_on("ON_ERROR_STOP", true)
                && !self.connection.is_closed();
            match outcome {
                Outcome::Failed if goes_on => {}
                Outcome::Done => {}
                outcome => return outcome,
            }
        }
        if source == Source::Script && !self.buffer.is_empty() {
            return self.send_kept(&mut splitter, source).await;
        }
        Outcome::Done
    }

    /// Adds to what has not been sent.
    fn keep(&mut self, text: &str) {
        if !self.buffer.is_empty() {
            self.buffer.push('\n');
        }
        self.buffer.push_str(text);
    }

    /// Sends what has been kept, with the data that follows it.
    async fn send_kept(&mut self, splitter: &mut Splitter<'_>, source: Source) -> Outcome {
        let statement = self.variables.substitute(&std::mem::take(&mut self.buffer));
        if splitter::is_copy_from_stdin(&statement) {
            return match copy_data(splitter, source) {
                Ok(data) => Outcome::of(self.copy_in(&statement, data.as_bytes()).await),
                Err(error) => {
                    errln!("the data cannot be read: {error}");
                    Outcome::Failed
                }
            };
        }
        Outcome::of(self.send(&statement, std::slice::from_ref(&statement), None).await)
    }

    /// Sends a query string that holds `statements` and prints their results, to another sink if one is given. False:
    /// there was an error.
    async fn send(&mut self, text: &str, statements: &[String], to: Option<Sink>) -> bool {
        let style = Style { columns: self.screen.map(|screen| screen.0), ..self.style.clone() };
        self.send_styled(text, statements, to, &style).await
    }

    async fn send_styled(
        &mut self,
        text: &str,
        statements: &[String],
        to: Option<Sink>,
        style: &Style,
    ) -> bool {
        let started = env::clock::now();
        let lines = self.screen.map(|screen| screen.1).filter(|_| self.paging && self.is_interactive);
        let mut other = to;
        let sink = other.as_mut().unwrap_or(&mut self.sink);
        let style = Style { columns: style.columns.filter(|_| sink.is_standard()), ..style.clone() };
        let mut outlet = Outlet::new(sink, lines);
        let ran = self.connection.run(text, statements, self.block, &style, &mut outlet).await;
        let is_written = !outlet.has_failed();
        drop(outlet);
        if let Some(mut other) = other {
            other.close();
        }
        for statement in statements.iter().take(ran.done) {
            self.block = self.block.after(statement);
            let changes = ["create", "drop", "alter", "rollback", "commit"];
            let first = splitter::words(statement).into_iter().next().unwrap_or_default();
            self.names_are_old |= changes.contains(&first.as_str());
        }
        if ran.error.is_some() {
            self.block = self.block.after_failure(statements.get(ran.done));
        }
        text.clone_into(&mut self.last);
        self.report(text, ran.error, started) && is_written
    }

    /// Tells what went wrong, and how long it took.
    fn report(
        &mut self,
        text: &str,
        error: Option<tokio_postgres::Error>,
        started: env::clock::Instant,
    ) -> bool {
        let ok = error.is_none();
        if let Some(error) = error {
            self.tell(text, &error);
        }
        if self.timing {
            outln!("Time: {:.3} ms", started.elapsed().as_secs_f64() * 1000.0);
        }
        ok
    }

    /// Tells of an error, and keeps it for `\errverbose`.
    fn tell(&mut self, text: &str, error: &tokio_postgres::Error) {
        print_error(text, error, Verbosity::named(self.variables.get("VERBOSITY")), self.colours);
        if let Some(error) = error.as_db_error() {
            self.last_error = Some(error.clone());
        }
    }
}

/// The data behind a COPY FROM STDIN: what follows it in a script, or what a person types, up to `\.`.
fn copy_data(splitter: &mut Splitter<'_>, source: Source) -> std::io::Result<String> {
    if source == Source::Script {
        return Ok(splitter.take_copy_data().to_owned());
    }
    outln!("Enter the data, one row a line; end with \\. on a line of its own, or Ctrl-D.");
    let mut data = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "\\." {
            break;
        }
        data.push_str(&line);
        data.push('\n');
    }
    Ok(data)
}
