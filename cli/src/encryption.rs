//! The master key of an encrypted data directory: a file, a variable, or what a command prints.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use clap::Args;
use env::clock::{Instant, now};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Holds the key itself, where no file does. There is no flag for it: flags can be read by everybody on the machine.
const KEY_VARIABLE: &str = "NUNATAK_ENCRYPTION_KEY";

/// How long a command may take to print the key.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// A key takes less, however it is written.
const PRINTED_BYTES_MAX: u64 = 4096;

/// How a data directory is encrypted.
#[derive(Debug, Clone, Args)]
pub(crate) struct EncryptionArguments {
    /// Encrypt the data directory with the master key in this file: 32 bytes, raw, in hex or in base64. The key itself may
    /// stand in NUNATAK_ENCRYPTION_KEY instead
    #[arg(long, global = true, env = "NUNATAK_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    pub(crate) encryption_key_file: Option<PathBuf>,

    /// The same with the master key that this command prints, which the system's shell runs at each start: one that asks a
    /// service for keys
    #[arg(long, global = true, env = "NUNATAK_ENCRYPTION_KEY_COMMAND", value_name = "COMMAND")]
    pub(crate) encryption_key_command: Option<String>,
}

impl EncryptionArguments {
    /// Where the key is; None: not encrypted. A command is run for it.
    pub(crate) fn source(&self) -> Result<Option<lsm::KeySource>, Failure> {
        let in_variable = std::env::var_os(KEY_VARIABLE).is_some_and(|value| !value.is_empty());
        let given = [
            ("--encryption-key-file", self.encryption_key_file.is_some()),
            ("--encryption-key-command", self.encryption_key_command.is_some()),
            (KEY_VARIABLE, in_variable),
        ];
        let given: Vec<&str> = given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        if given.len() > 1 {
            return Err(Failure::usage(format!("{} are both given: which is it?", given.join(" and "))));
        }
        if let Some(path) = &self.encryption_key_file {
            if cert::others_can_read(path).unwrap_or(false) {
                tracing::warn!(file = %path.display(), "others can read the master key: chmod 600");
            }
            return Ok(Some(lsm::KeySource::File(path.clone())));
        }
        if let Some(command) = &self.encryption_key_command {
            return printed("--encryption-key-command", command).map(Some);
        }
        Ok(in_variable.then(|| lsm::KeySource::Environment(KEY_VARIABLE.to_owned())))
    }
}

/// The master key that a command prints on its standard output, in time. `flag` is what named the command.
pub(crate) fn printed(flag: &str, command: &str) -> Result<lsm::KeySource, Failure> {
    printed_by(flag, command, PATIENCE)
}

fn printed_by(flag: &str, command: &str, patience: Duration) -> Result<lsm::KeySource, Failure> {
    let failed = |what: String| Failure::usage(format!("{flag} '{command}': {what}"));
    let deadline = now() + patience;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it starts goes with it, if it is not waited for.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let read = child.stdout.take().map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), reading);
    let ended = read.and_then(|read| Ok((ended(&mut child, deadline)?, read)));
    let late = || failed(format!("it has not ended within {} s", patience.as_secs()));
    let (status, read) = match ended {
        Ok((Some(status), read)) => (status, read),
        ended => {
            // Whatever it was about to say, nobody waits for it any more.
            let _ = env::process::kill_group(&child).and_then(|()| child.wait());
            return Err(ended.err().map_or_else(late, |error| failed(error.to_string())));
        }
    };
    if !status.success() {
        return Err(failed(format!("it failed ({status})")));
    }
    let left = deadline.saturating_duration_since(now()).max(LOOK);
    let key = read.recv_timeout(left).map_err(|_| late())?.map_err(|error| failed(error.to_string()))?;
    lsm::MasterKey::parse(&key).map(lsm::KeySource::Key).map_err(failed)
}

type Printed = io::Result<Zeroizing<Vec<u8>>>;

/// Reads what is printed aside: who prints more than anybody reads never ends, and whatever it leaves running may keep the
/// pipe open.
fn reading(stdout: ChildStdout) -> io::Result<Receiver<Printed>> {
    let (tell, told) = mpsc::channel();
    env::task::thread("key", move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(PRINTED_BYTES_MAX as usize));
        let read = stdout.take(PRINTED_BYTES_MAX).read_to_end(&mut bytes);
        // Nobody waits for it any more, or somebody does.
        let _ = tell.send(read.map(|_| bytes));
    })?;
    Ok(told)
}

/// Waits for its end; `None`: it goes on beyond the deadline.
fn ended(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if now() >= deadline {
            return Ok(None);
        }
        std::thread::park_timeout(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(command: &str) -> Result<String, String> {
        match printed_by("--flag", command, Duration::from_secs(2)) {
            Ok(lsm::KeySource::Key(key)) => Ok(key.to_hex()),
            Ok(other) => Err(format!("{other:?}")),
            Err(failure) => Err(failure.line().unwrap_or_default()),
        }
    }

    #[test]
    fn a_command_prints_the_key() {
        let hex = "07".repeat(32);
        assert_eq!(key(&format!("echo {hex}")), Ok(hex.clone()));
        assert_eq!(key(&format!("printf %s {hex}; sleep 0.2")), Ok(hex.clone()));
        assert_eq!(key("printf '\\007%.0s' $(seq 32)"), Ok(hex));
    }

    #[test]
    fn what_one_that_hangs_has_started_does_not_outlive_it() {
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("written");
        let command = format!("(sleep 1; touch '{}') & sleep 60", written.display());
        let begun = now();
        assert!(printed_by("--flag", &command, Duration::from_millis(300)).is_err());
        while begun.elapsed() < Duration::from_secs(2) {
            std::thread::park_timeout(LOOK);
        }
        assert!(!written.exists());
    }

    #[test]
    fn one_that_fails_hangs_or_prints_something_else_is_refused() {
        for (command, said) in [
            ("exit 3", "it failed (exit status: 3)"),
            ("no-such-command-anywhere 2>/dev/null", "it failed (exit status: 127)"),
            ("echo secret", "not a master key"),
            ("true", "not a master key"),
            ("sleep 60", "it has not ended within 2 s"),
            ("yes", "it failed"),
        ] {
            let error = key(command).unwrap_err();
            assert!(error.contains(said), "{command}: {error}");
        }
    }
}
