//! What is to be built, as plain data: the only door into the engine.
//!
//! Every front-end (flags, a file) lowers to a [`Recipe`]; one engine executes it. A recipe is JSON both
//! ways, and `lbuild plan` prints one after [`pin`](crate::Engine::pin) has made it exact.

mod check;
mod source;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use source::{Bytecode, Npm, Python, Requirements, Source, Wheel};

use crate::image::{ConfigEdit, Digest, Platform, Reference};

/// A time that every tool takes: 1980-01-01T00:00:00Z, in seconds since 1970.
///
/// Zip writers refuse earlier times, and some tools take 0 for a missing one.
pub const DEFAULT_EPOCH: u64 = 315_532_800;

/// How one image comes about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Whom the image is for.
    pub platform: Platform,
    /// The time that files and image bear, in seconds since 1970: [`DEFAULT_EPOCH`] or `SOURCE_DATE_EPOCH`.
    pub epoch: u64,
    /// Images built one after another; the last is the result, the others serve it.
    pub stages: Vec<Stage>,
}

/// A base and what is put on top of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// A name for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the stage starts from.
    pub base: Base,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// What a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI layout directory.
    #[serde(rename_all = "kebab-case")]
    Layout {
        /// The directory.
        path: PathBuf,
        /// The image's tag in the layout; needed when it holds several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// The manifest's digest, once pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// An image in a Docker archive.
    #[serde(rename_all = "kebab-case")]
    Archive {
        /// The file.
        path: PathBuf,
        /// The image's name in the archive; needed when it holds several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Reference>,
        /// The digest of the manifest that a registry would have for it, once pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// The result of an earlier stage, counted from 0.
    Stage(usize),
}

/// One thing to do.
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
    /// Which files.
    pub source: Source,
    /// The absolute path in the image. `None` is the function's directory: `LAMBDA_TASK_ROOT` of the
    /// config at this step, else its working directory, else `/var/task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Stage {
    /// The files that the stage adds, in order.
    pub(crate) fn adds(&self) -> impl Iterator<Item = &Add> {
        self.steps.iter().filter_map(|step| match step {
            Step::Add(add) => Some(add),
            Step::Edit(_) => None,
        })
    }
}

impl Recipe {
    /// The numbers of the stages that the last one needs, and of itself, in order.
    pub(crate) fn needed_stages(&self) -> Vec<usize> {
        let last = self.stages.len().checked_sub(1);
        let base = |number: &usize| match self.stages[*number].base {
            Base::Stage(base) => Some(base),
            _ => None,
        };
        let mut needed: Vec<usize> = std::iter::successors(last, base).collect();
        needed.reverse();
        needed
    }

    /// A recipe of one stage, with the default epoch.
    pub fn new(platform: Platform, base: Base, steps: Vec<Step>) -> Recipe {
        Recipe { platform, epoch: DEFAULT_EPOCH, stages: vec![Stage { name: None, base, steps }] }
    }

    /// Whether the recipe can be built, as far as the recipe alone can tell.
    ///
    /// # Errors
    /// Names the stage and step at fault.
    pub fn check(&self) -> crate::error::Result<()> {
        check::check(self)
    }
}
