//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub struct Init {
    /// The function's directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
}
