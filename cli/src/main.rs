//! The one binary: storage nodes, SQL gateways, a shell and the operator's commands.
//!
//! `config` reads what was asked for; the command's module does it on the SQL runtime. Serving commands are put
//! together from the parts in `process`.

mod address;
mod arguments;
mod auditing;
mod backups;
mod check;
mod command;
mod config;
mod doors;
mod encryption;
mod escape;
mod failure;
mod history;
mod http;
mod logging;
mod output;
mod process;
mod security;
mod shell;
mod shutdown;
mod sizes;
mod table;
mod traces;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, Command};
use clap::CommandFactory as _;
use command::check_config;
use config::Asked;
use env::pool::{Pool, PoolHandle};
use failure::Failure;
use output::errln;
use traces::Traces;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is still running after a command has ended is given up after this.
const RUNTIME_END: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                errln!("{line}");
            }
            failure.exit_code()
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut words = Vec::new();
    for word in std::env::args_os() {
        words.push(word.into_string().map_err(|word| Failure::usage(format!("{word:?} is not UTF-8")))?);
    }
    let arguments = match config::read(&words)? {
        Asked::Command(arguments) => *arguments,
        Asked::Check(arguments) => return check::run(&arguments),
        Asked::Answered => return Ok(()),
    };
    logging::start(&arguments.global, arguments.command.default_log())?;
    let pool = match arguments.command.serves_sql() {
        true => Some(Pool::start("sql-long", sql::STACK_BYTES).map_err(no_threads)?),
        false => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sql")
        .thread_stack_size(sql::STACK_BYTES)
        .enable_all()
        .build()
        .map_err(no_threads)?;
    let handle = pool.as_ref().map(Pool::handle).unwrap_or_default();
    let outcome = runtime.block_on(execute(arguments, handle));
    if let Some(pool) = pool {
        pool.shutdown(RUNTIME_END);
    }
    runtime.shutdown_timeout(RUNTIME_END);
    outcome
}

fn no_threads(error: std::io::Error) -> Failure {
    Failure::failed(format!("cannot start threads: {error}"))
}

/// `pool` is where long statements run, so that nothing else of the process waits for them.
async fn execute(arguments: Arguments, pool: PoolHandle) -> Result<(), Failure> {
    let address = arguments.command.serves_at();
    let mut traces = Traces::default();
    // The audit log and traces count, too: metrics are there before them.
    let mut audit = || {
        traces = traces::start(&arguments.global, address.as_deref())?;
        auditing::open(&arguments.global)
    };
    let outcome = match arguments.command {
        Command::Demo(demo) => demo.run(http::record_metrics()?, pool, audit()?).await,
        Command::StartSingle(start) => start.run(http::record_metrics()?, pool, audit()?).await,
        Command::Node(node) => node.run(http::record_metrics()?, pool, audit()?).await,
        Command::Gateway(gateway) => gateway.run(http::record_metrics()?, pool, audit()?).await,
        Command::Init(init) => init.run().await,
        Command::Sql(sql) => sql.run().await,
        Command::Kv(kv) => kv.run().await,
        Command::Admin(admin) => admin.run().await,
        Command::Cert(cert) => cert.run(),
        Command::GenPasswordHash(password) => password.run(),
        Command::Backup(backup) => backup.run().await,
        Command::Drift(drift) => drift.run(pool, audit()?).await,
        Command::Lsm(lsm) => lsm.run(),
        Command::CheckConfig(_) => Err(check_config::CheckConfig::refused()),
        Command::Completions(completions) => completions.run(Arguments::command()),
        Command::Man(man) => man.run(Arguments::command()),
    };
    traces.settle().await;
    outcome
}
