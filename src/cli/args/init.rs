//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub struct Init {
    /// Write lbuild.toml into this directory, which has the function
    #[arg(default_value = ".")]
    pub path: PathBuf,
}
