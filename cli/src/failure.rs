//! Why a command ends without success, and with which exit status.

use std::fmt;
use std::process::ExitCode;

/// An error for the person at the terminal: one line.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for cannot be: a wrong flag, key, address or directory. Exit status 2.
    Usage(String),
    /// It went wrong. Exit status 1.
    Failed(String),
    /// It went wrong, and the person has been told. Exit status 1.
    Told,
    /// The server is gone, and the person has been told. Exit status 2.
    Lost,
    /// A script ended with an error, and the person has been told. Exit status 3.
    Script,
}

impl Failure {
    /// What was asked for cannot be.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// It went wrong.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The line to print, if there is one.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Usage(message) | Self::Failed(message) => {
                let words: Vec<&str> = message.split_whitespace().collect();
                Some(format!("nunatak: {}", words.join(" ")))
            }
            Self::Told | Self::Lost | Self::Script => None,
        }
    }

    /// The exit status.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Lost => ExitCode::from(2),
            Self::Script => ExitCode::from(3),
            Self::Failed(_) | Self::Told => ExitCode::FAILURE,
        }
    }
}

/// An error with all that it says of its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
