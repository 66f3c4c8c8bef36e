//! Flags of every command.

use clap::Args as ClapArgs;

use crate::cli::output::report::Style;

/// How to talk to the user, and how hard to work.
#[derive(ClapArgs, Clone)]
pub struct Output {
    /// Print nothing but warnings, errors and results
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print events as JSON lines on standard error; results as JSON where there is more than a name
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads that compress [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

impl Output {
    /// How events and failures are written.
    pub fn style(&self) -> Style {
        match (self.json, self.quiet) {
            (true, _) => Style::Json,
            (false, true) => Style::Quiet,
            (false, false) => Style::Usual,
        }
    }
}
