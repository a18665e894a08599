//! Programs that are run to their end, and servers that are ended with the benchmark.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::failure::{Failure, Result};

/// Runs a program to its end; its standard output, or what it complained of.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    Running::start(command)?.finish()
}

/// Runs programs beside each other to their ends; their standard outputs.
pub(crate) fn outputs(commands: impl IntoIterator<Item = Command>) -> Result<Vec<String>> {
    let running: Vec<_> =
        commands.into_iter().map(|mut command| Running::start(&mut command)).collect::<Result<_>>()?;
    // All are waited for, whatever the first has to say.
    let finished: Vec<_> = running.into_iter().map(Running::finish).collect();
    finished.into_iter().collect()
}

/// A program that says little before it ends.
struct Running {
    program: String,
    child: Child,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|source| Failure::Start { program: program.clone(), source })?;
        Ok(Self { program, child })
    }

    fn finish(self) -> Result<String> {
        let Self { program, child } = self;
        let output =
            child.wait_with_output().map_err(|source| Failure::Start { program: program.clone(), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Failure::Program { program, output: complaint })
    }
}

/// A server process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a server whose output goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| Failure::File { path: log.to_path_buf(), source };
        let out = File::options().create(true).append(true).open(log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| Failure::Start { program, source })?;
        Ok(Self(child))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            let _status = self.0.wait();
        }
    }
}

/// A port of the loopback interface that nobody listens on, and that this process has not given before.
///
/// Below the ports that the kernel gives to connections (32768 and above: `ip_local_port_range` in ip(7)): it is told
/// before its process listens.
pub(crate) fn free_port() -> Result<u16> {
    const FIRST: u16 = 12_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let offset = std::process::id().wrapping_mul(97);
    let mut last = None;
    for _ in 0..COUNT {
        let next = offset.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + u16::try_from(next).unwrap_or_default();
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    let source = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(Failure::File { path: "127.0.0.1".into(), source })
}

/// Waits until psql gets an answer from `port`.
pub(crate) fn await_sql(what: &str, port: u16) -> Result<()> {
    const SECONDS: u64 = 60;
    for _ in 0..SECONDS * 5 {
        if query(port, "select 1").is_ok() {
            return Ok(());
        }
        pause(Duration::from_millis(200));
    }
    Err(Failure::NotReady { what: what.to_owned(), seconds: SECONDS })
}

/// The answer to one statement, unaligned and without headers.
pub(crate) fn query(port: u16, sql: &str) -> Result<String> {
    let port = port.to_string();
    output(
        Command::new("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-d",
                "postgres",
                "-p",
                &port,
            ])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .env("PGCONNECT_TIMEOUT", "5"),
    )
    .map(|answer| answer.trim().to_owned())
}

/// The rows that answer one statement, and how many milliseconds they took.
pub(crate) fn timed(port: u16, sql: &str, seconds: u32) -> Result<(Vec<String>, f64)> {
    let printed = output(
        Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres"])
            .args(["-p", &port.to_string(), "-v", "ON_ERROR_STOP=1"])
            .args(["-c", &format!("set statement_timeout = '{seconds}s'"), "-c", "\\timing on", "-c", sql]),
    )?;
    let mut rows: Vec<String> = printed.lines().map(str::to_owned).collect();
    let took = rows.pop().and_then(|line| {
        let (_, rest) = line.split_once("Time: ")?;
        rest.split(' ').next()?.parse().ok()
    });
    Ok((rows, took.ok_or(Failure::Missing { program: "psql".to_owned(), what: "time" })?))
}

/// Runs a statement that reads its rows from the client.
pub(crate) fn feed(port: u16, sql: &str, rows: &str) -> Result<()> {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-p", &port.to_string()])
        .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let failed = |source| Failure::Start { program: "psql".to_owned(), source };
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // Where it stops reading it says why.
        let _written = input.write_all(rows.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Program { program: "psql".to_owned(), output: complaint })
}

/// Waits a little for another process.
#[expect(clippy::disallowed_methods, reason = "a benchmark waits for real processes in real time")]
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}
