//! The node's process, and what a process has used so far: Linux.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::failure::{Failure, Result};
use crate::processor;

/// The node, killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
}

impl Node {
    /// Starts this program as a node.
    pub(crate) fn start() -> Result<Self> {
        let failed = |source| Failure::Start { program: "the node".to_owned(), source };
        let program = std::env::current_exe().map_err(failed)?;
        let mut child =
            Command::new(program).arg("rpc-task").stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address).map_err(failed)?;
        }
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// What the node has used so far.
    pub(crate) fn used(&self) -> Used {
        let process = self.child.id();
        Used { cpu_us: processor::tree_us(process), switches: switches(&process.to_string()) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            let _status = self.child.wait();
        }
    }
}

/// What a process has used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    /// Processor time of all its threads.
    pub(crate) cpu_us: f64,
    /// How often one of its threads had nothing to do and slept.
    pub(crate) switches: f64,
}

impl Used {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { cpu_us: self.cpu_us - earlier.cpu_us, switches: self.switches - earlier.switches }
    }
}

/// What this process has used so far.
pub(crate) fn own() -> Used {
    Used { cpu_us: processor::own_us(), switches: switches("self") }
}

/// How often the threads of a process have slept so far.
fn switches(process: &str) -> f64 {
    let mut switches = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        switches += line.and_then(|count| count.trim().parse::<f64>().ok()).unwrap_or(0.0);
    }
    switches
}
