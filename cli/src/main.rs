//! The one binary: storage nodes, SQL gateways, a shell and the operator's commands.
//!
//! `config` reads what was asked for; the command's module does it on the SQL runtime. Serving commands are put
//! together from the parts in `process`.

mod address;
mod arguments;
mod command;
mod config;
mod encryption;
mod escape;
mod failure;
mod http;
mod logging;
mod process;
mod shell;
mod shutdown;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, Command};
use config::Asked;
use failure::Failure;

/// What is still running after a command has ended is given up after this.
const RUNTIME_END: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                eprintln!("{line}");
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
        Asked::Answered => return Ok(()),
    };
    logging::start(&arguments.global, arguments.command.default_log())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sql")
        .thread_stack_size(sql::STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(execute(arguments));
    runtime.shutdown_timeout(RUNTIME_END);
    outcome
}

async fn execute(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo(demo) => demo.run(http::record_metrics()?).await,
        Command::StartSingle(start) => start.run(http::record_metrics()?).await,
        Command::Node(node) => node.run(http::record_metrics()?).await,
        Command::Gateway(gateway) => gateway.run(http::record_metrics()?).await,
        Command::Init(init) => init.run().await,
        Command::Sql(sql) => sql.run().await,
        Command::Admin(admin) => admin.run().await,
        Command::Lsm(lsm) => lsm.run(),
    }
}
