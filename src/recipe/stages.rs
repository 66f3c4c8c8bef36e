//! A recipe and its stages.

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::step::{Add, Step};
use crate::image::Platform;

/// A time that every tool accepts: 1980-01-01T00:00:00Z, in seconds since 1970.
///
/// Zip writers refuse earlier times, and some tools interpret 0 as a missing time.
pub const DEFAULT_EPOCH: u64 = 315_532_800;

/// One image, described by its stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The platform of the image.
    pub platform: Platform,
    /// The time of files and image, in seconds since 1970: [`DEFAULT_EPOCH`] or `SOURCE_DATE_EPOCH`.
    pub epoch: u64,
    /// Images built in this order; the last is the result, the others are its sources.
    pub stages: Vec<Stage>,
}

/// A base and the steps on top of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// A name, for display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image that the stage starts from.
    pub base: Base,
    /// The platform of the base, if it is not the recipe's: of a stage whose programs run on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whether the base is a finished image, not one to build on: it gets no labels that name it, and its layers are mended
    /// where Lambda refuses them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Stage {
    /// The stage's [`Add`] steps, in order.
    pub(crate) fn adds(&self) -> impl Iterator<Item = &Add> {
        self.steps.iter().filter_map(|step| match step {
            Step::Add(add) => Some(add),
            Step::Run(_) | Step::Edit(_) => None,
        })
    }
}

impl Recipe {
    /// The numbers of the last stage and of the stages that it needs, in order.
    pub(crate) fn needed_stages(&self) -> Vec<usize> {
        let mut needed = vec![false; self.stages.len()];
        if let Some(last) = needed.last_mut() {
            *last = true;
        }
        for number in (0..self.stages.len()).rev() {
            if needed[number] {
                let stage = &self.stages[number];
                let sources = stage.steps.iter().flat_map(Step::source_stages);
                for other in sources.chain(stage.base.stage()) {
                    needed[other] = true;
                }
            }
        }
        (0..needed.len()).filter(|&number| needed[number]).collect()
    }

    /// A recipe of one stage, with the default epoch.
    pub fn new(platform: Platform, base: Base, steps: Vec<Step>) -> Recipe {
        Recipe {
            platform,
            epoch: DEFAULT_EPOCH,
            stages: vec![Stage { name: None, base, platform: None, finished: false, steps }],
        }
    }

    /// The recipe of a finished image, made by any tool: the same files and settings, as Lambda accepts them. What need not
    /// be mended keeps its digest.
    pub fn finished(platform: Platform, image: Base) -> Recipe {
        let mut recipe = Recipe::new(platform, image, Vec::new());
        recipe.stages.iter_mut().for_each(|stage| stage.finished = true);
        recipe
    }
}
