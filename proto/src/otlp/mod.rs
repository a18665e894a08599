//! OpenTelemetry's protocol: where traces go.
//!
//! The [`Exporter`] sends what [`env::trace`] gathers, in the messages of a service that takes it.

mod export;

pub use export::{EndpointError, Exporter};
pub use messages::otlp::*;
