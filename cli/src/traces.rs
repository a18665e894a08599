//! Where traces go, as flags name it.

use std::time::Duration;

use proto::otlp::{EndpointError, Exporter};

use crate::arguments::Global;
use crate::failure::{Failure, chain};

/// How long a process that ends waits until its last spans are sent.
const SETTLE: Duration = Duration::from_secs(1);

/// What sends the traces of this process, if anything does.
#[derive(Default)]
pub(crate) struct Traces(Option<Exporter>);

/// Whether `--trace-endpoint` names something that traces can be sent to.
pub(crate) fn check(endpoint: &str) -> Result<(), Failure> {
    Exporter::check(endpoint).map_err(|error| refused(&error))
}

fn refused(error: &EndpointError) -> Failure {
    Failure::usage(format!("--trace-endpoint: {}", chain(error)))
}

/// From now on traces go to what `--trace-endpoint` names, if the process serves at an address.
pub(crate) fn start(global: &Global, address: Option<&str>) -> Result<Traces, Failure> {
    let (Some(endpoint), Some(address)) = (&global.trace_endpoint, address) else {
        return Ok(Traces::default());
    };
    // Processes behind one address, one after the other, are told apart.
    let instance = format!("{address}-{}", std::process::id());
    let exporter = Exporter::new(endpoint, &instance).map_err(|error| refused(&error))?;
    env::trace::install(exporter.sink());
    env::task::spawn(exporter.clone().run());
    Ok(Traces(Some(exporter)))
}

impl Traces {
    /// Waits a moment for the last spans to be sent.
    pub(crate) async fn settle(self) {
        if let Some(exporter) = self.0 {
            exporter.settle(SETTLE).await;
        }
    }
}
