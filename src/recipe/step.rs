//! The steps of a stage.

use serde::{Deserialize, Serialize};

use super::source::{ImageFiles, Source};
use crate::image::ConfigEdit;

/// A change of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Put files into the image: one layer.
    Add(Add),
    /// Change the config.
    Edit(ConfigEdit),
}

/// Files that become a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The source of the files.
    pub source: Source,
    /// The absolute path in the image. `None` is the function's directory: `LAMBDA_TASK_ROOT` of the
    /// config at this step, else its working directory, else `/var/task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Step {
    /// The number of the earlier stage that it takes files from.
    pub(super) fn source_stage(&self) -> Option<usize> {
        match self {
            Step::Add(Add { source: Source::Image(ImageFiles { image, .. }), .. }) => image.stage(),
            Step::Add(_) | Step::Edit(_) => None,
        }
    }
}
