//! `nunatak check-config`: its place on the command line. What it does stands in [`crate::check`].

use clap::Args;

use crate::failure::Failure;

/// Check what a command would be started with, without starting it.
///
/// Put it before the command: `nunatak check-config node --data …`. It takes the same flags, variables and file, and prints what is
/// wrong, where, and what to do. Whether another process has a port or a directory it does not ask. Exit status 2 if the
/// command would be refused, or would serve nobody; warnings alone are exit status 0.
#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    /// The command, and its flags
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The command's own name.
const NAME: &str = "check-config";

impl CheckConfig {
    /// The command line of the command to check: `words` without this command's name.
    pub(crate) fn checked(&self, words: &[String]) -> Result<Vec<String>, Failure> {
        if self.command.first().is_some_and(|word| word == NAME) {
            return Err(Self::refused());
        }
        let before = words.len().saturating_sub(self.command.len());
        let own = words.iter().take(before).rposition(|word| word == NAME).ok_or_else(Self::refused)?;
        Ok(words
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != own)
            .map(|(_, word)| word.clone())
            .collect())
    }

    /// It does nothing by itself.
    pub(crate) fn refused() -> Failure {
        Failure::usage("check-config stands before another command: nunatak check-config node …")
    }
}
