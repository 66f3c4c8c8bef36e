//! The arguments of `layer`.

use clap::{Args as ClapArgs, Subcommand};
use lbuild::image::Arch;

use super::image::{NAMES, Python};
use super::push::DestinationArgs;
use super::registry::Registry;

#[derive(Subcommand)]
pub enum Layer {
    /// Push an image that holds a layer, for --layer-image and for COPY --from
    Push(Box<LayerPush>),
    /// Print the ARNs of your Lambda layers, or of the versions of one
    #[cfg(feature = "aws")]
    List(LayerList),
}

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct LayerPush {
    /// Take the content of this directory or zip, or of a version of a Lambda layer, to /opt or to PATH
    #[arg(value_name = "DIR|ZIP|ARN[:/PATH]", required_unless_present_any = ["requirements", "lock"])]
    pub layer: Option<String>,
    /// Make the image for this architecture: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long)]
    pub arch: Arch,
    #[command(flatten)]
    pub python: Python,
    /// Put the Python packages into this directory [default: /opt/python]
    #[arg(long, value_name = "/PATH", help_heading = "Dependencies")]
    pub packages_to: Option<String>,
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub registry: Registry,
}

#[cfg(feature = "aws")]
#[derive(ClapArgs)]
pub struct LayerList {
    /// List the versions of this layer: the name of one of yours, or an ARN without a version
    #[arg(value_name = "NAME|ARN")]
    pub layer: Option<String>,
    /// List those for this runtime, such as python3.12
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,
    /// List those for this architecture: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long)]
    pub arch: Option<Arch>,
}
