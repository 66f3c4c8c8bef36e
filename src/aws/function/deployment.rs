//! The wanted state of a function, and the result of its deployment.

use std::time::Duration;

use super::settings::FunctionSettings;
use crate::image::{Arch, Digest};

/// The wanted state of a function.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The repository of the image in ECR, such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello`, and its digest.
    pub image: (String, Digest),
    /// The architecture of the image.
    pub arch: Arch,
    /// Other settings.
    pub settings: FunctionSettings,
    /// Whether to create the function if it does not exist; the settings then have a role.
    pub create: bool,
    /// Whether the architecture of the function may become that of the image.
    pub change_arch: bool,
    /// The version and the alias.
    pub publish: Publish,
    /// Whether the function gets back what it had if the deployment fails.
    pub rollback: bool,
    /// How long each wait may take.
    pub patience: Duration,
}

/// A function after its deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The ARN of the function, of the version if one was published, or of the alias.
    pub arn: String,
    /// The published version.
    pub version: Option<String>,
    /// Whether anything was changed.
    pub changed: bool,
}

impl Deployment {
    /// The image as Lambda takes it.
    pub(super) fn uri(&self) -> String {
        format!("{}@{}", self.image.0, self.image.1)
    }
}

/// The version and alias that follow an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// Only `$LATEST` is changed.
    #[default]
    Nothing,
    /// A version is published.
    Version,
    /// A version is published, and this alias names it.
    Alias(String),
}
