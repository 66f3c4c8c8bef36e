//! Installs of tools that nothing but translated lines use: `pip install poetry` before `poetry install`. They are left
//! out of the image, and so are the settings that lines make for them.
//!
//! Whatever else may use a tool keeps it: a line that is run, the command that the image starts, and another stage that
//! copies the directories of the interpreter.

use std::collections::BTreeSet;

use serde_json::Value;

use super::stage::Paths;
use crate::frontend::dockerfile::translate::{are_tools, tool_name};
use crate::image::{ConfigEdit, paths};
use crate::recipe::{
    Base, CopySource, Mount, MountFrom, Operation, PythonInstall, Run, Source, Stage, Step, Translated,
};

/// An install of tools, by the place of its command.
struct ToolInstall {
    stage: usize,
    step: usize,
    /// The names of the tools that lines start.
    tools: BTreeSet<String>,
}

/// Leaves out the tools that the image does not need. `paths` are the values of `PATH` at the steps of each stage.
pub(super) fn leave_out(stages: &mut [Stage], paths: &[Paths]) {
    for install in installs(stages) {
        let mut known = paths.get(install.stage).into_iter().flatten();
        let path = known.find(|(step, _)| *step == install.step);
        if path.is_some_and(|(_, path)| is_spare(stages, &install, path)) {
            remove(stages, &install);
        }
    }
}

/// Whether an install has nothing but tools, in the interpreter's own directory.
pub(super) fn is_of_tools(install: &PythonInstall) -> bool {
    let is_plain = install.requirements.is_empty()
        && install.constraints.is_empty()
        && install.target.is_none()
        && install.user_base.is_none()
        && install.lock.is_none();
    is_plain && are_tools(&install.packages)
}

fn commands(step: &Step) -> impl Iterator<Item = &Translated> {
    let translation = match step {
        Step::Run(run) => run.translation.as_ref(),
        Step::Add(_) | Step::Edit(_) => None,
    };
    translation.into_iter().flat_map(|translation| translation.chains.iter().flatten())
}

fn installs(stages: &[Stage]) -> Vec<ToolInstall> {
    let mut found: Vec<ToolInstall> = Vec::new();
    for (stage, steps) in stages.iter().enumerate() {
        for (step, command) in
            steps.steps.iter().enumerate().flat_map(|(at, step)| commands(step).map(move |one| (at, one)))
        {
            let Operation::InstallPython(install) = &command.operation else { continue };
            if !is_of_tools(install) {
                continue;
            }
            let tools = install.packages.iter().map(|package| tool_name(package));
            match found.last_mut().filter(|last| (last.stage, last.step) == (stage, step)) {
                Some(last) => last.tools.extend(tools),
                None => found.push(ToolInstall { stage, step, tools: tools.collect() }),
            }
        }
    }
    found
}

/// The stage of the install and those that start from it.
fn heirs(stages: &[Stage], stage: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([stage]);
    for (number, other) in stages.iter().enumerate() {
        if matches!(&other.base, Base::Stage(below) if found.contains(below)) {
            found.insert(number);
        }
    }
    found
}

fn is_spare(stages: &[Stage], install: &ToolInstall, path: &str) -> bool {
    let heirs = heirs(stages, install.stage);
    let mut is_used = false;
    for &number in &heirs {
        for (at, step) in stages[number].steps.iter().enumerate() {
            let is_later = number != install.stage || at >= install.step;
            match step {
                Step::Run(Run { translation: None, .. }) if is_later => return false,
                Step::Edit(edit) if starts(edit, &install.tools) => return false,
                _ if is_later => {
                    is_used |= commands(step).any(|command| uses(command, &install.tools));
                }
                _ => {}
            }
        }
    }
    let places = places(path);
    is_used && !stages.iter().flat_map(|stage| &stage.steps).any(|step| takes(step, &heirs, &places))
}

/// Whether a command starts one of the tools.
fn uses(command: &Translated, tools: &BTreeSet<String>) -> bool {
    let name = command.text.split_whitespace().find(|word| !word.contains('=')).unwrap_or_default();
    let is_set_up = match &command.operation {
        Operation::InstallPython(install) => is_of_tools(install),
        Operation::WriteSettings { .. } => true,
        _ => false,
    };
    tools.contains(name) && !is_set_up
}

/// Whether the image may start one of the tools: by its name, or in a program of the user.
fn starts(edit: &ConfigEdit, tools: &BTreeSet<String>) -> bool {
    let names_tool = |text: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        text.split(|c| !is_part(c)).any(|word| tools.contains(word) || word == "uvx" && tools.contains("uv"))
    };
    let starts = |words: &Vec<String>| {
        let text = words.join(" ");
        let is_shell = words.get(1).is_some_and(|word| word == "-c");
        let program = if is_shell { words.get(2) } else { words.first() };
        let program = program.and_then(|text| text.split_whitespace().next()).unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        let is_own = program.contains('/') && !name.starts_with("python");
        names_tool(&text) || is_own || words.iter().any(|word| word.ends_with(".sh"))
    };
    let fields = ["Healthcheck", "OnBuild"].iter().filter_map(|name| edit.fields.get(*name));
    edit.entrypoint.iter().chain(&edit.cmd).any(starts)
        || fields.filter(|value| !matches!(value, Value::Null)).any(|value| names_tool(&value.to_string()))
}

/// The directories in which an interpreter of this `PATH` has its programs and packages.
fn places(path: &str) -> Vec<String> {
    let dirs = path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| paths::resolve("/", dir));
    let own = |dir: String| {
        let prefix = dir.rsplit_once('/').map_or("", |(prefix, _)| prefix).to_owned();
        [format!("{prefix}/lib"), format!("{prefix}/lib64"), dir]
    };
    dirs.flat_map(own).collect()
}

/// Whether a step takes files from one of these places in one of these stages.
fn takes(step: &Step, heirs: &BTreeSet<usize>, places: &[String]) -> bool {
    let is_taken = |image: &Base, path: &str| {
        let special = path.find(['*', '?', '[', '\\']).unwrap_or(path.len());
        let end = if special < path.len() { path[..special].rfind('/').unwrap_or(0) } else { path.len() };
        let path = paths::resolve("/", &path[..end]);
        let is_below = |path: &str, above: &str| {
            above == "/"
                || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        matches!(image, Base::Stage(number) if heirs.contains(number))
            && places.iter().any(|place| is_below(&path, place) || is_below(place, &path))
    };
    match step {
        Step::Add(add) => match &add.source {
            Source::Copy(files) => files.sources.iter().any(|source| match source {
                CopySource::Image { image, path } => is_taken(image, path),
                CopySource::Context { .. } | CopySource::Url { .. } | CopySource::Inline { .. } => false,
            }),
            Source::Image(files) => is_taken(&files.image, &files.path),
            _ => false,
        },
        Step::Run(run) => run.mounts.iter().any(|mount| match mount {
            Mount::Bind { from: MountFrom::Image(image), source, .. } => is_taken(image, source),
            Mount::Cache { from: Some((MountFrom::Image(image), source)), .. } => is_taken(image, source),
            _ => false,
        }),
        Step::Edit(_) => false,
    }
}

/// Replaces the install, and the settings that later lines make.
fn remove(stages: &mut [Stage], install: &ToolInstall) {
    for number in heirs(stages, install.stage) {
        for (at, step) in stages[number].steps.iter_mut().enumerate() {
            let Step::Run(Run { translation: Some(translation), .. }) = step else { continue };
            let is_own = (number, at) == (install.stage, install.step);
            // As a command, it would not find the tool.
            translation.required |=
                translation.chains.iter().flatten().any(|command| uses(command, &install.tools));
            for command in translation.chains.iter_mut().flatten() {
                match &mut command.operation {
                    Operation::InstallPython(own) if is_own && is_of_tools(own) => {
                        let packages = std::mem::take(&mut own.packages);
                        command.operation = Operation::OmitTools { packages };
                    }
                    Operation::WriteSettings { .. } if install.tools.contains("poetry") => {
                        command.operation = Operation::Nothing;
                    }
                    _ => {}
                }
            }
        }
    }
}
