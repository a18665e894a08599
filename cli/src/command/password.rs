//! `nunatak gen-password-hash`: what is kept of a password.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output::{errln, outln};

/// Print the SCRAM-SHA-256 verifier of the password on standard input.
///
/// CREATE ROLE and ALTER ROLE take it in place of the password, which then never leaves this machine:
/// ALTER ROLE ann PASSWORD 'SCRAM-SHA-256$…'
#[derive(Debug, Args)]
pub(crate) struct GenPasswordHash {}

impl GenPasswordHash {
    /// Reads a line, prints a line.
    pub(crate) fn run(self) -> Result<(), Failure> {
        if std::io::stdin().is_terminal() {
            errln!("The password, which the terminal will show:");
        }
        let mut line = Zeroizing::new(String::new());
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::failed(format!("cannot read the password: {error}")))?;
        let password = line.trim_end_matches(['\n', '\r']);
        if password.is_empty() {
            return Err(Failure::usage("the password is empty"));
        }
        outln!("{}", scram::Verifier::of_password(password));
        Ok(())
    }
}
