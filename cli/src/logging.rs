//! Logs go to standard error: for people, in colour on a terminal, or as JSON on request.

use std::io::IsTerminal;

use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::arguments::{Global, LogFormat};
use crate::failure::Failure;

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
    tracing_subscriber::registry().with(console).init();
    Ok(())
}

/// What is logged by these directives.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(with_quiet_libraries(directives))
        .map_err(|error| Failure::usage(format!("'{directives}' is no log filter (--log): {error}")))
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
