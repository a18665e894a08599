//! The audit log's stream, as flags name it.

use std::path::Path;
use std::sync::Arc;

use audit::{AuditLog, Destination};

use crate::arguments::{AuditFull, Global};
use crate::failure::Failure;

/// How flags name standard output.
const STANDARD_OUTPUT: &str = "-";

/// Where `--audit-log` says that records go.
pub(crate) fn destination(named: &Path) -> Destination {
    match named.as_os_str() == STANDARD_OUTPUT {
        true => Destination::StandardOutput,
        false => Destination::File(named.to_owned()),
    }
}

/// Opens what `--audit-log` names; without it records go where the process logs.
pub(crate) fn open(global: &Global) -> Result<Arc<AuditLog>, Failure> {
    let Some(named) = &global.audit_log else { return Ok(Arc::default()) };
    let full = match global.audit_full {
        AuditFull::Wait => audit::WhenFull::Wait,
        AuditFull::Drop => audit::WhenFull::Drop,
    };
    AuditLog::open(destination(named), full)
        .map_err(|error| Failure::usage(format!("cannot write {} (--audit-log): {error}", named.display())))
}
