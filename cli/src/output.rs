//! Standard output and standard error, for what a command prints.
//!
//! The standard library's `println!` panics when nobody reads any more (`nunatak sql … | head`). Here a reader that has
//! gone ends the process quietly, as the signal for it would; any other failure ends it with what went wrong. Where
//! standard error itself cannot be written there is nobody left to tell.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// The exit status of a process that was ended because nobody reads its output: 128 and SIGPIPE.
const NOBODY_READS: i32 = 141;

/// Writes to standard output.
pub(crate) fn write(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    if let Err(error) = output.write_fmt(text).and_then(|()| output.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(NOBODY_READS);
        }
        complain(format_args!("cannot write to standard output: {error}\n"));
        std::process::exit(1);
    }
}

/// Writes to standard error.
pub(crate) fn complain(text: Arguments<'_>) {
    let _nobody_to_tell = std::io::stderr().lock().write_fmt(text);
}

/// `print!` over `write`.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// `println!` over `write`.
macro_rules! outln {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` over [`complain`].
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::complain(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, out, outln};
