//! The master key of an encrypted data directory: a file, or a variable.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

/// Holds the key itself, where no file does. There is no flag for it: flags can be read by everybody on the machine.
const KEY_VARIABLE: &str = "NUNATAK_ENCRYPTION_KEY";

/// How a data directory is encrypted.
#[derive(Debug, Clone, Args)]
pub(crate) struct EncryptionArguments {
    /// Encrypt the data directory with the master key in this file: 32 bytes, raw, in hex or in base64. The key itself may
    /// stand in NUNATAK_ENCRYPTION_KEY instead
    #[arg(long, global = true, env = "NUNATAK_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    pub(crate) encryption_key_file: Option<PathBuf>,
}

impl EncryptionArguments {
    /// Where the key is; None: not encrypted.
    pub(crate) fn source(&self) -> Result<Option<lsm::KeySource>, Failure> {
        let in_variable = std::env::var_os(KEY_VARIABLE).is_some_and(|value| !value.is_empty());
        match &self.encryption_key_file {
            Some(_) if in_variable => Err(Failure::usage(format!(
                "--encryption-key-file and {KEY_VARIABLE} are both given: which is it?"
            ))),
            Some(path) => {
                if cert::others_can_read(path).unwrap_or(false) {
                    tracing::warn!(file = %path.display(), "others can read the master key: chmod 600");
                }
                Ok(Some(lsm::KeySource::File(path.clone())))
            }
            None if in_variable => Ok(Some(lsm::KeySource::Environment(KEY_VARIABLE.to_owned()))),
            None => Ok(None),
        }
    }
}
