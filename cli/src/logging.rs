//! Logs go to standard error: for people, in colour on a terminal, or as JSON on request. What is to be known later goes
//! to a file of its own as well, if one is named.

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::arguments::{Global, LogFormat};
use crate::failure::Failure;

/// The target of what is to be known later: failed logins, changes of roles and rights.
const AUDIT: &str = "audit";

/// What is heard of libraries.
const LIBRARIES: [(&str, &str); 7] = [
    ("openraft", "off"),
    ("h2", "warn"),
    ("hyper", "warn"),
    ("tower", "warn"),
    ("tonic", "warn"),
    ("rustyline", "warn"),
    ("tokio_postgres", "warn"),
];

/// Starts logging.
pub(crate) fn start(global: &Global, default: &str) -> Result<(), Failure> {
    let filter = filter(global.log.as_deref().unwrap_or(default))?;
    let console = fmt::layer().with_writer(stderr());
    let console = match global.log_format {
        LogFormat::Human => {
            console.with_ansi(std::io::stderr().is_terminal()).with_target(false).with_filter(filter).boxed()
        }
        LogFormat::Json => console.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let audit = match &global.audit_log {
        None => None,
        Some(path) => {
            let only = Targets::new().with_target(AUDIT, LevelFilter::INFO);
            let layer = fmt::layer().json().flatten_event(true).with_target(false).with_writer(open(path)?);
            Some(layer.with_filter(only))
        }
    };
    tracing_subscriber::registry().with(console).with(audit).init();
    Ok(())
}

/// What is logged by these directives.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(with_quiet_libraries(directives))
        .map_err(|error| Failure::usage(format!("'{directives}' is no log filter (--log): {error}")))
}

/// The audit log's file, which only its owner can read.
fn open(path: &Path) -> Result<Mutex<File>, Failure> {
    let file = File::options().append(true).create(true).mode(0o600).open(path);
    file.map(Mutex::new)
        .map_err(|error| Failure::usage(format!("cannot write {} (--audit-log): {error}", path.display())))
}

fn stderr() -> impl for<'a> MakeWriter<'a> + Send + Sync + 'static {
    std::io::stderr
}

/// Libraries tell of every message, and of every peer that is gone, unless they are named; what matters of that our own
/// code tells.
fn with_quiet_libraries(directives: &str) -> String {
    let mut all = directives.to_owned();
    for (library, level) in LIBRARIES {
        if !matches!(directives, "off" | "error") && !directives.contains(library) {
            all.push_str(&format!(",{library}={level}"));
        }
    }
    all
}
