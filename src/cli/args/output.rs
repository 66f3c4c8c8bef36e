//! Flags of every command.

use clap::Args as ClapArgs;

use crate::cli::output::report::Style;

/// The form of the output, and the number of threads.
#[derive(ClapArgs, Clone)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Print only warnings, errors and results
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print events as JSON lines to standard error, and structured results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Compress on this many threads [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = None::<&str>)]
    pub jobs: Option<u16>,
}

impl Output {
    /// The style of events and failures.
    pub fn style(&self) -> Style {
        match (self.json, self.quiet) {
            (true, _) => Style::Json,
            (false, true) => Style::Quiet,
            (false, false) => Style::Usual,
        }
    }
}
