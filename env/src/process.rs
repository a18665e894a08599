//! Programs that this one has started.

use std::io;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process_group};

/// Kills a child that was started as the first of a process group of its own, and all of that group: whatever it has started itself.
pub fn kill_group(child: &Child) -> io::Result<()> {
    Ok(kill_process_group(Pid::from_child(child), Signal::KILL)?)
}
