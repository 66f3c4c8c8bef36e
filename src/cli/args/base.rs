//! The arguments of `rebase` and `base`.

use clap::{Args as ClapArgs, Subcommand};

use super::image::NAMES;
use super::push::DestinationArgs;
use super::registry::Registry;

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct Rebase {
    /// Put the layers of this image onto another base; a function's image is deployed, too
    #[arg(value_name = "IMAGE|FUNCTION")]
    pub image: String,
    /// Put them onto this image, or onto the base of this runtime [default: what the tag of its base names now]
    #[arg(long, value_name = "IMAGE|RUNTIME")]
    pub onto: Option<String>,
    /// Take this image as the base that it has [default: that of its labels]
    #[arg(long, value_name = "IMAGE")]
    pub from: Option<String>,
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub registry: Registry,
}

#[derive(Subcommand)]
pub enum BaseCommand {
    /// Tell which images stand on a base whose tag has moved
    Check(BaseCheck),
}

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct BaseCheck {
    /// Look at these images, or at those of these functions
    #[arg(value_name = "IMAGE|FUNCTION", required = true)]
    pub images: Vec<String>,
    #[command(flatten)]
    pub registry: Registry,
}
