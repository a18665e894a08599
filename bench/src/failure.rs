//! Why a benchmark could not go on.

use std::io;
use std::path::PathBuf;

/// The result of a step of a benchmark.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a benchmark could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot run {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} failed: {output}")]
    Program { program: String, output: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{what} was not ready within {seconds} s")]
    NotReady { what: String, seconds: u64 },
    #[error("{program} printed no {what}")]
    Missing { program: String, what: &'static str },
    #[error("{0} is not installed")]
    NotInstalled(&'static str),
    #[error("{0} is not built in: build with --features peers (needs libclang and a C++ compiler)")]
    NotBuilt(&'static str),
    #[error("{engine}: {source}")]
    Engine { engine: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("a call failed: {0}")]
    Rpc(String),
    #[error("the engine is wrong: {0}")]
    Wrong(&'static str),
    #[error("what is stored contradicts itself: {0}")]
    Inconsistent(String),
}
