//! Commands that begin with a backslash.

use std::time::Duration;

use super::format::{Expanded, Format, Style};
use super::manual;
use super::sink::Sink;
use super::splitter::{Splitter, is_complete, split};
use super::variables::Variables;
use super::{INCLUDES_MAX, Outcome, Server, Shell, Source};
use crate::failure::Failure;
use crate::output::{errln, out, outln};

/// How often `\watch` runs a statement unless told otherwise.
const WATCH_PERIOD: Duration = Duration::from_secs(2);

/// The commands' names, for completion.
pub(super) fn names() -> Vec<&'static str> {
    manual::COMMANDS.iter().flat_map(|(_, commands)| commands.iter().map(|(name, ..)| *name)).collect()
}

impl Shell {
    /// Runs a command that begins with a backslash.
    pub(super) async fn run_command(
        &mut self,
        command: &str,
        splitter: &mut Splitter<'_>,
        source: Source,
    ) -> Outcome {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let (name, rest) = (name.trim_end_matches(';'), rest.trim());
        let outcome = match name {
            "\\q" => return Outcome::Leave,
            "\\i" | "\\ir" | "\\include" => return self.include(&self.arguments(rest).concat()).await,
            "\\g" | "\\gx" | "\\gset" | "\\watch" => self.run_kept(name, rest.trim_end_matches(';')).await,
            "\\e" | "\\edit" => return self.edit(&self.arguments(rest).concat()).await,
            "\\copy" => self.copy_here(rest.trim_end_matches(';'), splitter, source).await,
            "\\c" | "\\connect" => self.connect_elsewhere(&self.arguments(rest)).await,
            _ if name.starts_with("\\d") || matches!(name, "\\l" | "\\l+" | "\\z") => {
                self.describe(name, rest.trim_end_matches(';')).await
            }
            _ => self.set_or_show(name, rest),
        };
        match outcome {
            Ok(()) => Outcome::Done,
            Err(failure) => {
                if let Failure::Usage(message) | Failure::Failed(message) = failure {
                    errln!("{name}: {message}");
                }
                Outcome::Failed
            }
        }
    }

    /// The commands that ask nothing of the server.
    fn set_or_show(&mut self, name: &str, rest: &str) -> Result<(), Failure> {
        let arguments = self.arguments(rest);
        let first = arguments.first().map(String::as_str);
        match name {
            "\\?" => out!("{}", manual::commands()),
            "\\h" | "\\help" => out!("{}", manual::statements(rest.trim_end_matches(';'))),
            "\\timing" => {
                self.timing = switched(self.timing, first)?;
                outln!("Timing is {}.", on_off(self.timing));
            }
            "\\x" => return self.pset("expanded", first),
            "\\t" => return self.pset("tuples_only", first),
            "\\pset" => match first {
                Some(name) => return self.pset(name, arguments.get(1).map(String::as_str)),
                None => self.show_settings(),
            },
            "\\o" | "\\out" => {
                self.sink.close();
                if !rest.is_empty() {
                    let target = if rest.starts_with('|') { rest } else { first.unwrap_or(rest) };
                    self.sink = Sink::open(target)?;
                }
            }
            "\\echo" => outln!("{}", arguments.join(" ")),
            "\\qecho" => drop(self.sink.print(&format!("{}\n", arguments.join(" ")))),
            "\\set" => return self.set(&arguments),
            "\\unset" => arguments.iter().for_each(|name| self.variables.unset(name)),
            "\\p" if self.buffer.is_empty() => outln!("Nothing has been entered."),
            "\\p" => outln!("{}", self.buffer),
            "\\r" => self.buffer.clear(),
            "\\conninfo" => outln!(
                "You are connected to database \"{}\" as user \"{}\" at {}, {}.",
                self.connection.database,
                self.connection.user,
                self.connection.place,
                if self.connection.is_encrypted() { "by TLS" } else { "in plain text" }
            ),
            "\\errverbose" => match &self.last_error {
                Some(error) => outln!("{}", super::printing::describe_in_full(error)),
                None => outln!("There is no previous error."),
            },
            "\\!" => {
                let status = std::process::Command::new("sh").args(["-c", rest]).status();
                let status = status.map_err(Failure::failed)?;
                if !status.success() {
                    return Err(Failure::failed(status));
                }
            }
            _ => return Err(Failure::failed("no command of this shell; \\? lists them")),
        }
        Ok(())
    }

    /// Words of a command: blanks stand between them, quotes keep them together. The value of a variable is part of a word
    /// as it is, whatever it has in it.
    fn arguments(&self, text: &str) -> Vec<String> {
        let text = text.trim_end_matches(';');
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if quote.is_none()
                && character == ':'
                && let Some((value, length)) = self.variables.named(text, at.saturating_add(1))
            {
                word.get_or_insert_default().push_str(&value);
                let end = at.saturating_add(1).saturating_add(length);
                while characters.next_if(|(next, _)| *next < end).is_some() {}
                continue;
            }
            match (quote, character) {
                (Some(open), close) if open == close => {
                    if characters.next_if(|(_, next)| *next == close).is_some() {
                        word.get_or_insert_default().push(close);
                    } else {
                        quote = None;
                    }
                }
                (Some('\''), '\\') => {
                    let escaped = match characters.next().map(|(_, next)| next) {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(other) => other,
                        None => '\\',
                    };
                    word.get_or_insert_default().push(escaped);
                }
                (None, '\'' | '"') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (None, blank) if blank.is_whitespace() => words.extend(word.take()),
                (_, character) => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        words
    }

    fn pset(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        match name {
            "null" => value.unwrap_or_default().clone_into(&mut self.style.null),
            "format" => {
                let wanted = value.map(|value| match value {
                    "aligned" => "table",
                    "unaligned" => "raw",
                    value => value,
                });
                if let Some(value) = wanted {
                    let unknown =
                        |_| Failure::failed(format!("{value} is none of table, vertical, csv, json, raw"));
                    self.style.format = clap::ValueEnum::from_str(value, true).map_err(unknown)?;
                }
            }
            "expanded" | "x" => {
                self.style.expanded = match (value, self.style.expanded) {
                    (Some("auto"), _) => Expanded::Auto,
                    (value, now) if switched(now == Expanded::On, value)? => Expanded::On,
                    _ => Expanded::Off,
                }
            }
            "tuples_only" | "t" => self.style.rows_only = switched(self.style.rows_only, value)?,
            "pager" => self.paging = switched(self.paging, value)?,
            _ => {
                let known = "null, format, expanded, tuples_only, pager";
                return Err(Failure::failed(format!("{name} is none of {known}")));
            }
        }
        match name {
            "null" => outln!("Null display is \"{}\".", self.style.null),
            "format" => outln!("Output format is {}.", format_name(self.style.format)),
            "expanded" | "x" => match self.style.expanded {
                Expanded::Auto => outln!("Expanded display is used automatically."),
                other => outln!("Expanded display is {}.", other.name()),
            },
            "pager" => outln!("Pager usage is {}.", on_off(self.paging)),
            _ => outln!("Tuples only is {}.", on_off(self.style.rows_only)),
        }
        Ok(())
    }

    fn show_settings(&self) {
        let Style { format, expanded, null, rows_only, .. } = &self.style;
        outln!("expanded     {}", expanded.name());
        outln!("format       {}", format_name(*format));
        outln!("null         '{null}'");
        outln!("pager        {}", on_off(self.paging));
        outln!("tuples_only  {}", on_off(*rows_only));
    }

    fn set(&mut self, arguments: &[String]) -> Result<(), Failure> {
        let Some((name, values)) = arguments.split_first() else {
            for (name, value) in self.variables.iter() {
                outln!("{name} = '{value}'");
            }
            return Ok(());
        };
        if !Variables::is_name(name) {
            return Err(Failure::failed(format!("invalid variable name: \"{name}\"")));
        }
        if !self.variables.set(name, values.concat()) {
            return Err(Failure::failed("the variables take too much memory"));
        }
        Ok(())
    }

    /// Sends what has been entered, or the last statement again.
    async fn run_kept(&mut self, name: &str, rest: &str) -> Result<(), Failure> {
        let entered = std::mem::take(&mut self.buffer);
        let text = if entered.is_empty() { self.last.clone() } else { self.variables.substitute(&entered) };
        if text.is_empty() {
            return Err(Failure::failed("there is no statement to run"));
        }
        match name {
            "\\gset" => return self.keep_row(&text, rest).await,
            "\\watch" => return self.watch(&text, rest).await,
            _ => {}
        }
        let target = if rest.starts_with('|') { rest.to_owned() } else { self.arguments(rest).concat() };
        let sink = if target.is_empty() { None } else { Some(Sink::open(&target)?) };
        let mut style = Style { columns: self.screen.map(|screen| screen.0), ..self.style.clone() };
        if name == "\\gx" {
            style.expanded = Expanded::On;
        }
        let well = self.send_styled(&text, &split(&text), sink, &style).await;
        if well { Ok(()) } else { Err(Failure::Told) }
    }

    /// Keeps a row's values in variables named like the columns.
    async fn keep_row(&mut self, text: &str, prefix: &str) -> Result<(), Failure> {
        let (names, rows) = self.ask(text).await?;
        let [row] = rows.as_slice() else {
            return Err(Failure::failed(format!("{} rows came; one is what variables can hold", rows.len())));
        };
        for (name, value) in names.iter().zip(row) {
            let name = format!("{prefix}{name}");
            match value {
                Some(value) if !self.variables.set(&name, value.clone()) => {
                    return Err(Failure::failed("the variables take too much memory"));
                }
                Some(_) => {}
                None => self.variables.unset(&name),
            }
        }
        Ok(())
    }

    /// Runs a statement again and again until Ctrl-C, an error, or as often as asked for.
    async fn watch(&mut self, text: &str, rest: &str) -> Result<(), Failure> {
        let (mut period, mut left) = (WATCH_PERIOD, u64::MAX);
        for word in rest.split_whitespace() {
            let wrong = || Failure::failed(format!("'{word}' is neither seconds nor c=TIMES"));
            if let Some(times) = word.strip_prefix("c=") {
                left = times.parse().map_err(|_| wrong())?;
            } else {
                let seconds: f64 = word.strip_prefix("i=").unwrap_or(word).parse().map_err(|_| wrong())?;
                period = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
            }
        }
        let statements = split(text);
        while left > 0 {
            if !self.send(text, &statements, None).await {
                return Err(Failure::Told);
            }
            left -= 1;
            if left > 0 {
                tokio::select! {
                    () = env::clock::sleep(period) => {}
                    Ok(()) = tokio::signal::ctrl_c() => break,
                }
            }
        }
        Ok(())
    }

    async fn include(&mut self, path: &str) -> Outcome {
        if self.includes >= INCLUDES_MAX {
            errln!("{path}: files include each other too deeply");
            return Outcome::Failed;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                errln!("{path}: {error}");
                return Outcome::Failed;
            }
        };
        self.includes += 1;
        let outcome = Box::pin(self.run_text(&text, Source::Script)).await;
        self.includes -= 1;
        // \q in a file leaves the file.
        if outcome == Outcome::Leave { Outcome::Done } else { outcome }
    }

    /// Has the person edit what has been entered, the last statement, or a file, and runs it if it is complete.
    async fn edit(&mut self, path: &str) -> Outcome {
        let entered = std::mem::take(&mut self.buffer);
        let text = if entered.is_empty() { &self.last } else { &entered };
        let edited = match edited(text, path) {
            Ok(edited) => edited,
            Err(failure) => {
                errln!("{}", failure.line().unwrap_or_default());
                self.buffer = entered;
                return Outcome::Failed;
            }
        };
        outln!("{}", edited.trim_end());
        if is_complete("", &edited) {
            return Box::pin(self.run_text(&edited, Source::Person)).await;
        }
        self.keep(edited.trim());
        Outcome::Done
    }

    async fn connect_elsewhere(&mut self, arguments: &[String]) -> Result<(), Failure> {
        let given = |at: usize| arguments.get(at).filter(|word| *word != "-").cloned();
        let mut server: Server = self.server.clone();
        match given(0) {
            Some(url) if url.contains("://") => {
                server.url = url;
                server.instead = super::Target::default();
            }
            Some(database) => server.instead.database = Some(database),
            None => {}
        }
        server.instead.user = given(1).or(server.instead.user);
        server.instead.host = given(2).or(server.instead.host);
        if let Some(port) = given(3) {
            let port = port.parse().map_err(|_| Failure::failed(format!("'{port}' is no port")))?;
            server.instead.port = Some(port);
        }
        self.connect(server).await.map_err(|failure| match failure {
            Failure::Usage(message) => {
                Failure::failed(format!("{message} (the previous connection is kept)"))
            }
            other => other,
        })?;
        outln!(
            "You are now connected to database \"{}\" as user \"{}\".",
            self.connection.database,
            self.connection.user
        );
        Ok(())
    }
}

/// A text as the person leaves it in their editor.
fn edited(text: &str, path: &str) -> Result<String, Failure> {
    let editor = ["NUNATAK_EDITOR", "PSQL_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "vi".to_owned());
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let file = if path.is_empty() { folder.path().join("statement.sql") } else { path.into() };
    if path.is_empty() {
        let mut written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(&file);
        let outcome = match &mut written {
            Ok(written) => std::io::Write::write_all(written, format!("{text}\n").as_bytes()),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        };
        outcome.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    }
    let status =
        std::process::Command::new("sh").args(["-c", &format!("{editor} \"$0\"")]).arg(&file).status();
    let status = status.map_err(|error| Failure::failed(format!("{editor}: {error}")))?;
    if !status.success() {
        return Err(Failure::failed(format!("{editor}: {status}")));
    }
    std::fs::read_to_string(&file).map_err(|error| Failure::failed(format!("{}: {error}", file.display())))
}

/// As `on` or `off` says; the other way round if nothing does.
fn switched(now: bool, value: Option<&str>) -> Result<bool, Failure> {
    match value {
        Some("on" | "true" | "1" | "always") => Ok(true),
        Some("off" | "false" | "0") => Ok(false),
        None => Ok(!now),
        Some(other) => Err(Failure::failed(format!("{other} is neither on nor off"))),
    }
}

fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn format_name(format: Format) -> String {
    clap::ValueEnum::to_possible_value(&format).map(|value| value.get_name().to_owned()).unwrap_or_default()
}
