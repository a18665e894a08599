//! The configuration file, by construction the same settings as the flags.
//!
//! A key is a flag's long name. Above all tables it sets that flag for every command that has it; in a table named like
//! a command, for that command alone. What the file says becomes the default of the command line's flag, so that flags
//! and variables go before it and every value is checked as the flag's would be.

use std::path::{Path, PathBuf};

use clap::builder::OsStr;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};

use crate::arguments::{Arguments, Command as Asks};
use crate::failure::Failure;

/// What the command line asks for.
pub(crate) enum Asked {
    /// A command.
    Command(Box<Arguments>),
    /// What is wrong with a command's settings.
    Check(Box<Arguments>),
    /// Help or the version, printed already.
    Answered,
}

/// Reads the command line, the environment and the file that they name.
pub(crate) fn read(words: &[String]) -> Result<Asked, Failure> {
    let mut command = Arguments::command();
    if let Some(path) = config_path(words) {
        command = with_file(command, &path)?;
    }
    let topic = topic(&command, words);
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return answer(&error, &topic),
    };
    let arguments = Arguments::from_arg_matches(&matches).map_err(Failure::usage)?;
    if let Asks::CheckConfig(check) = &arguments.command {
        return Ok(match read(&check.checked(words)?)? {
            Asked::Command(checked) => Asked::Check(checked),
            other => other,
        });
    }
    Ok(Asked::Command(Box::new(arguments)))
}

/// The command that is named, with all that it is a part of: whose help says more.
fn topic(mut command: &Command, words: &[String]) -> String {
    let mut named = Vec::new();
    for word in words.iter().skip(1) {
        let Some(part) = command.find_subcommand(word) else { break };
        named.push(word.as_str());
        command = part;
    }
    named.join(" ")
}

/// Prints help, or makes one line of an error.
fn answer(error: &clap::Error, topic: &str) -> Result<Asked, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Ok(Asked::Answered)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(Failure::Usage("a command is missing".to_owned()))
        }
        _ => {
            let text = error.to_string();
            let told: Vec<&str> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
                .filter(|line| !line.is_empty())
                .collect();
            let line = told.join(" ").replace(" tip: ", "; ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            Err(Failure::Usage(format!("{line} (see nunatak {topic} --help)")))
        }
    }
}

/// The file that is named before the command line can be read as a whole.
fn config_path(words: &[String]) -> Option<PathBuf> {
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("NUNATAK_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn with_file(command: Command, path: &Path) -> Result<Command, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the configuration file {shown}: {error}")))?;
    apply(command, &text).map_err(|reason| Failure::usage(format!("{shown}: {reason}")))
}

/// Makes the file's values the flags' defaults.
fn apply(mut command: Command, text: &str) -> Result<Command, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| first_error(text, &error))?;
    let commands: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut wrong = Vec::new();
    for (key, value) in &table {
        match value {
            toml::Value::Table(_) if !commands.contains(key) => {
                wrong.push(format!("unknown table [{key}]: tables are named {}", commands.join(", ")));
            }
            toml::Value::Table(settings) => {
                for (setting, value) in settings {
                    match values(&format!("[{key}] {setting}"), value) {
                        Err(reason) => wrong.push(reason),
                        Ok(values) if set(&mut command, Some(key), setting, &values) => {}
                        Ok(_) => wrong.push(format!(
                            "unknown key '{setting}' in [{key}]: it is no flag of nunatak {key}"
                        )),
                    }
                }
            }
            value => match values(key, value) {
                Err(reason) => wrong.push(reason),
                Ok(values) if set(&mut command, None, key, &values) => {}
                Ok(_) => wrong.push(format!("unknown key '{key}': it is no flag of any command")),
            },
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    // A command's own table goes before what stands above all tables, whatever the order in the file.
    for (key, value) in &table {
        for (setting, value) in value.as_table().into_iter().flatten() {
            set(&mut command, Some(key), setting, &values(setting, value)?);
        }
    }
    Ok(command)
}

/// Sets the default of a flag in the command, or in all commands that have it. False: there is no such flag.
fn set(command: &mut Command, only: Option<&str>, long: &str, values: &[String]) -> bool {
    let mut found = false;
    if only.is_none() {
        found |= set_default(command, long, values);
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| only.is_none_or(|only| only == name.as_str())) {
        if let Some(sub) = command.find_subcommand_mut(name) {
            found |= set_default(sub, long, values);
        }
    }
    found
}

fn set_default(command: &mut Command, long: &str, values: &[String]) -> bool {
    let id = command.get_arguments().find(|arg| arg.get_long() == Some(long)).map(|arg| arg.get_id().clone());
    let Some(id) = id else { return false };
    if matches!(long, "config" | "help" | "version") {
        return false;
    }
    let defaults: Vec<OsStr> = values.iter().map(|value| OsStr::from(leak(value))).collect();
    let taken = std::mem::replace(command, Command::new("nunatak"));
    *command = taken.mut_arg(id, |arg| arg.required(false).default_values(defaults));
    true
}

/// clap keeps defaults as static strings; the file is read once in the life of the process.
fn leak(value: &str) -> &'static str {
    Box::leak(value.to_owned().into_boxed_str())
}

/// The words that a flag would have been given.
fn values(place: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    let word = |value: &toml::Value| match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(format!("'{place}' cannot be a {}", other.type_str())),
    };
    match value {
        toml::Value::Array(list) => list.iter().map(word).collect(),
        value => Ok(vec![word(value)?]),
    }
}

/// A parse error with its line.
fn first_error(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgMatches;

    use super::*;

    fn matches(file: &str, words: &[&str]) -> Result<ArgMatches, String> {
        let command = apply(Arguments::command(), file)?;
        command.try_get_matches_from(words).map_err(|error| error.to_string())
    }

    fn listen(file: &str, words: &[&str]) -> String {
        let matches = matches(file, words).unwrap();
        let (_, sub) = matches.subcommand().unwrap();
        sub.get_one::<crate::address::Address>("listen").unwrap().to_string()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_example_is_a_file_that_every_command_takes() {
        let example = include_str!("../../config.example.toml");
        for words in [
            &["nunatak", "demo"][..],
            &["nunatak", "start-single"],
            &["nunatak", "node"],
            &["nunatak", "init"],
            &["nunatak", "gateway"],
            &["nunatak", "sql"],
            &["nunatak", "kv", "scan"],
            &["nunatak", "admin", "nodes"],
            &["nunatak", "lsm", "stats"],
            &["nunatak", "backup", "list", "file:///backups"],
            &["nunatak", "cert", "list"],
        ] {
            matches(example, words).unwrap();
        }
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let words = ["nunatak", "start-single", "--data", "d"];
        assert_eq!(listen("", &words), "127.0.0.1:5433");
        assert_eq!(listen("listen = '127.0.0.1:1'", &words), "127.0.0.1:1");
        assert_eq!(
            listen("listen = '127.0.0.1:1'\n[start-single]\nlisten = '127.0.0.1:2'", &words),
            "127.0.0.1:2"
        );
        let flagged = [&words[..], &["--listen", "127.0.0.1:3"]].concat();
        assert_eq!(listen("[start-single]\nlisten = '127.0.0.1:2'", &flagged), "127.0.0.1:3");
    }

    #[test]
    fn a_required_flag_may_stand_in_the_file() {
        assert!(matches("", &["nunatak", "start-single"]).is_err());
        matches("[start-single]\ndata = 'd'", &["nunatak", "start-single"]).unwrap();
    }

    #[test]
    fn lists_and_switches_are_understood() {
        let file = "[node]\ndata = 'd'\njoin = ['a:1', 'b:2']\n[demo]\nno-shell = true";
        let node = matches(file, &["nunatak", "node"]).unwrap();
        let joined =
            node.subcommand().unwrap().1.get_many::<crate::address::Address>("join").unwrap().count();
        assert_eq!(joined, 2);
        assert!(matches(file, &["nunatak", "demo"]).unwrap().subcommand().unwrap().1.get_flag("no_shell"));
    }

    #[test]
    fn wrong_keys_and_tables_are_named() {
        let words = ["nunatak", "demo"];
        assert!(matches("listn = 'x'", &words).unwrap_err().contains("unknown key 'listn'"));
        assert!(matches("[nodes]\nlisten = 'x'", &words).unwrap_err().contains("unknown table [nodes]"));
        assert!(matches("[init]\ndata = 'x'", &words).unwrap_err().contains("unknown key 'data' in [init]"));
        assert!(matches("listen = ", &words).unwrap_err().contains("line 1"));
        assert!(matches("listen = 'nowhere'", &words).unwrap_err().contains("nowhere"));
    }
}
