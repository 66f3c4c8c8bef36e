//! The arguments of `with` and `shim`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// Which tools find lbuild, for `--help`.
const TOOLS: &str = "\
What finds lbuild as docker:
  lbuild with -- cdk deploy              image assets, tarball assets
  lbuild with -- cdk-assets publish
  lbuild with -- sls deploy              or osls: images built from a path
  lbuild with -- sam build --use-buildkit
  lbuild with -- make image              any script that builds, tags and pushes
What is not served: containers (docker run, exec, compose), `sam build` without --use-buildkit, `sam local`.";

#[derive(ClapArgs)]
#[command(after_help = TOOLS)]
pub struct With {
    /// The command, after --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub words: Vec<OsString>,
}

#[derive(Subcommand)]
pub enum Shim {
    /// Make the links docker, buildx and docker-buildx in a directory, which comes first in PATH then
    Install {
        /// The directory; created if it does not exist
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Arguments that lbuild reads as another tool does.
#[derive(ClapArgs)]
pub struct ToolWords {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub words: Vec<OsString>,
}
