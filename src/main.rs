//! The `lbuild` command: arguments in, one call of the library, events and results out.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
