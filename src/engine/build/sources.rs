//! Questions about a recipe's sources that need no build: whether they exist, and which files they include.

use std::path::Path;

use super::mounts;
use crate::engine::running::{NO_PROCESS, RunMode};
use crate::error::Result;
use crate::image::Config;
use crate::recipe::{Add, Mount, Recipe, Run, Stage, Step, Untranslated};
use crate::source;
use crate::store::BuildSecrets;

/// The function's directory if the config has neither `LAMBDA_TASK_ROOT` nor a working directory.
const TASK_ROOT: &str = "/var/task";

/// Fails if a stage that is built has a command that needs a process, and no process is allowed.
pub(super) fn check_commands(recipe: &Recipe, mode: Option<RunMode>) -> Result<()> {
    let stages = recipe.needed_stages().into_iter().map(|number| &recipe.stages[number]);
    for step in stages.flat_map(|stage| &stage.steps) {
        let Step::Run(Run { translation: None, origin, untranslated, .. }) = step else { continue };
        if mode != Some(RunMode::None) {
            continue;
        }
        let (fault, hint) = ("this command needs a process, and the mode of commands is none", NO_PROCESS);
        return Err(match untranslated {
            None => origin.failed(fault, Some(hint.to_owned())),
            Some(Untranslated { word, reason }) => {
                origin.failed_at(word, format!("{fault}: `{word}` {reason}"), Some(hint.to_owned()))
            }
        });
    }
    Ok(())
}

/// Fails if a source does not exist, before a base is requested.
pub(in crate::engine) fn check_sources(recipe: &Recipe) -> Result<()> {
    let mut adds = recipe.stages.iter().flat_map(Stage::adds);
    adds.try_for_each(|add| source::provider(&add.source).check())?;
    for stage in recipe.needed_stages().into_iter().map(|number| &recipe.stages[number]) {
        for step in &stage.steps {
            let Step::Run(run) = step else { continue };
            mounts::sources_on_disk(run).try_for_each(|source| source::provider(&source).check())?;
        }
    }
    Ok(())
}

/// Fails if a translated command requires a secret that is not given.
pub(super) fn check_secrets(recipe: &Recipe, secrets: &BuildSecrets) -> Result<()> {
    for step in recipe.needed_stages().into_iter().flat_map(|number| &recipe.stages[number].steps) {
        let Step::Run(Run { mounts, origin, .. }) = step else { continue };
        for mount in mounts {
            let Mount::Secret { id, required: true, .. } = mount else { continue };
            if secrets.get(id).is_none() {
                let hint = format!("pass --secret id={id},src=FILE or --secret id={id},env=NAME");
                return Err(origin.failed_at(id, format!("the secret `{id}` is required"), Some(hint)));
            }
        }
    }
    Ok(())
}

/// The path of an `Add` in an image with this config.
pub(in crate::engine) fn target(add: &Add, config: &Config) -> String {
    let default = || config.var("LAMBDA_TASK_ROOT").filter(|root| root.starts_with('/')).or(config.workdir());
    match &add.to {
        Some(to) => to.clone(),
        // The trailing slash means that a file, or a directory's content, goes into this directory.
        None => format!("{}/", default().unwrap_or(TASK_ROOT).trim_end_matches('/')),
    }
}

/// Whether one of the recipe's sources adds a file at `path` of the image, relative to the function's directory unless
/// absolute.
pub(in crate::engine) fn provides(recipe: &Recipe, path: &str) -> Result<bool> {
    let path = Path::new(TASK_ROOT).join(path);
    for add in recipe.stages.last().into_iter().flat_map(Stage::adds) {
        if source::provider(&add.source).provides(add.to.as_deref().unwrap_or(TASK_ROOT), &path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file on this machine is among the recipe's files, or would be if it existed.
pub(in crate::engine) fn packs(recipe: &Recipe, path: &Path) -> Result<bool> {
    for add in recipe.stages.iter().flat_map(Stage::adds) {
        if source::provider(&add.source).packs(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}
