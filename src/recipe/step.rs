//! The steps of a stage.

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::copy::CopySource;
use super::run::{Mount, Run};
use super::source::{ImageFiles, Source};
use crate::image::ConfigEdit;

/// A change of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Adds files to the image.
    Add(Add),
    /// Runs a command, whose changes become a layer.
    Run(Run),
    /// Changes the config.
    Edit(ConfigEdit),
}

/// Files that become one layer or several.
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
    /// The numbers of the earlier stages that are sources of its files.
    pub(super) fn source_stages(&self) -> impl Iterator<Item = usize> {
        self.images().into_iter().filter_map(Base::stage)
    }

    fn images(&self) -> Vec<&Base> {
        match self {
            Step::Add(Add { source: Source::Image(ImageFiles { image, .. }), .. }) => vec![image],
            Step::Add(Add { source: Source::Copy(files), .. }) => {
                files.sources.iter().filter_map(CopySource::image).collect()
            }
            Step::Run(run) => run.mounts_read().filter_map(Mount::image).collect(),
            Step::Add(_) | Step::Edit(_) => Vec::new(),
        }
    }
}
