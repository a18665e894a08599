//! `nunatak completions` and `nunatak man`: what a shell and a reader know of the command line, made from it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;

/// Print a shell's completions.
///
/// For bash: `nunatak completions bash > /etc/bash_completion.d/nunatak`; for zsh into a directory of $fpath, as _nunatak; for fish
/// into ~/.config/fish/completions/nunatak.fish.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(crate) fn run(self, mut command: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "nunatak", &mut script);
        print(&script)
    }
}

/// Print the manual page, or write the pages of all commands.
///
/// `nunatak man | man -l -` shows it; `nunatak man --dir /usr/local/share/man/man1` installs it, with a page for each command.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands to this directory, which is made if it does not exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Prints or writes.
    pub(crate) fn run(self, command: Command) -> Result<(), Failure> {
        if let Some(dir) = self.dir {
            return std::fs::create_dir_all(&dir)
                .and_then(|()| clap_mangen::generate_to(command, &dir))
                .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", dir.display())));
        }
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| Failure::failed(format!("the page cannot be made: {error}")))?;
        print(&page)
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    std::io::stdout().write_all(text).map_err(|error| Failure::failed(format!("cannot print: {error}")))
}
