//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub struct Init {
    /// Write lbuild.toml for the function in this directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
}
