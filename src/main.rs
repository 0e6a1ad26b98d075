//! `throng`, the server as a program: settings from flags, environment and a file, a page to look at, signals.

#[cfg(panic = "abort")]
compile_error!(
    "a handler that panics costs one connection only if the panic unwinds: build without panic = \"abort\""
);

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
