//! Looks for the handler's file among those that are packed, before anything is fetched. The check of a push decides by
//! all files of the image instead.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lbuild::Engine;
use lbuild::lambda::{BOOTSTRAP, handler_files, is_aws_base};
use lbuild::recipe::{Add, Recipe, Source, Step};

use crate::cli::lower::Lowered;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// Refuses a handler whose file is not packed. Only warns if the base is not one of AWS's: it may contain the file.
pub fn check(engine: &Engine, lowered: &Lowered, report: &Report) -> Result<(), Failure> {
    let Some(missing) = missing(engine, lowered)? else { return Ok(()) };
    if lowered.handler.as_ref().is_some_and(|(_, image)| is_aws_base(image)) {
        return Err(missing);
    }
    warn(&missing, report);
    Ok(())
}

/// The failure for a handler whose file is not packed, or for a bootstrap that cannot be executed.
pub fn missing(engine: &Engine, lowered: &Lowered) -> Result<Option<Failure>, Failure> {
    let Some((handler, image)) = &lowered.handler else { return Ok(None) };
    let Some(files) = handler_files(image, handler) else { return Ok(None) };
    let bootstrap = files == [BOOTSTRAP];
    // An entrypoint of the user, as for Go, replaces the bootstrap.
    if bootstrap && lowered.own_entrypoint {
        return Ok(None);
    }
    for file in &files {
        if engine.provides(&lowered.recipe, file)? {
            return Ok(if bootstrap { executable(&lowered.recipe).err() } else { None });
        }
    }
    Ok(Some(match bootstrap {
        true => Failure::Bootstrap {
            fault: format!("{image} starts {BOOTSTRAP}, which is missing"),
            hint: "add --add bootstrap:/var/runtime/bootstrap; the base does not start one in the function's directory",
        },
        false => Failure::Handler { handler: handler.clone(), files, place: place(&lowered.recipe) },
    }))
}

/// Warns of a handler whose file is not packed.
pub fn warn(missing: &Failure, report: &Report) {
    report.warn(&missing.to_string(), missing.hint().as_deref());
}

/// The path of the function, as given.
fn place(recipe: &Recipe) -> String {
    let place = adds(recipe).find_map(|add| match &add.source {
        Source::Directory { path, ignore: true, .. } => Some(path.clone()),
        Source::Zip { path } if add.to.is_none() => Some(path.clone()),
        _ => None,
    });
    place.unwrap_or_else(|| PathBuf::from(".")).display().to_string()
}

/// Refuses a bootstrap without execute bits: archives and CI artifacts lose them, and Lambda would report only
/// `Runtime.InvalidEntrypoint`.
fn executable(recipe: &Recipe) -> Result<(), Failure> {
    for file in adds(recipe).filter_map(behind_bootstrap) {
        // A file that cannot be read here, such as a link into the image, is not checked.
        let mode =
            std::fs::metadata(&file).ok().filter(|file| file.is_file()).map(|file| file.permissions().mode());
        if mode.is_some_and(|mode| mode & 0o111 == 0) {
            let fault = format!("{} becomes {BOOTSTRAP} but is not executable", file.display());
            return Err(Failure::Bootstrap { fault, hint: "make it executable with `chmod +x`" });
        }
    }
    Ok(())
}

/// The file on this machine that an `Add` packs as the image's bootstrap.
fn behind_bootstrap(add: &Add) -> Option<PathBuf> {
    let Source::Directory { path, .. } = &add.source else { return None };
    let below = Path::new(BOOTSTRAP).strip_prefix(add.to.as_deref()?.trim_end_matches('/')).ok()?;
    Some(if path.is_dir() { path.join(below) } else { path.clone() })
}

fn adds(recipe: &Recipe) -> impl Iterator<Item = &Add> {
    let steps = recipe.stages.last().into_iter().flat_map(|stage| &stage.steps);
    steps.filter_map(|step| match step {
        Step::Add(add) => Some(add),
        Step::Run(_) | Step::Edit(_) => None,
    })
}
