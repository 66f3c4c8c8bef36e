//! The `lbuild` command: it parses the arguments, calls the library, and prints events and results.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
