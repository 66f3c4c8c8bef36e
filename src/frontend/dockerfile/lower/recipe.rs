//! The recipe of the stages that the target needs.

use std::collections::HashSet;

use super::command_lines;
use super::expand::Expander;
use super::globals::PROXIES;
use super::plan::Plan;
use super::stage::{Lowering, State};
use super::tools;
use crate::frontend::dockerfile::arguments::{Arguments, Configs};
use crate::frontend::dockerfile::instruction::types::Instruction;
use crate::frontend::dockerfile::stages::ParsedFile;
use crate::frontend::dockerfile::warning::Warnings;
use crate::frontend::fault::{Fault, Parsed, did_you_mean};
use crate::recipe::{Recipe, Stage};

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Build arguments that BuildKit itself reads.
const OF_BUILDKIT: &str = "BUILDKIT_";

pub(in crate::frontend) fn lower(
    file: &ParsedFile,
    arguments: &Arguments,
    configs: &Configs,
    warnings: &mut Warnings,
) -> Parsed<Recipe> {
    let plan = Plan::new(file, arguments, configs, warnings)?;
    warn_of_unused(&plan, warnings);
    let epoch = epoch(file, arguments)?;
    let mut expander = Expander::new(file.escape, warnings);
    let mut states: Vec<Option<(usize, State)>> = file.stages.iter().map(|_| None).collect();
    let (mut stages, mut paths): (Vec<Stage>, Vec<_>) = (Vec::new(), Vec::new());
    for number in 0..=plan.target {
        let Some(planned) = &plan.stages[number] else { continue };
        let lowering = Lowering::new(&plan, number, planned, &states, configs, &mut expander)?;
        let (stage, state, own) = lowering.run()?;
        paths.push(own);
        states[number] = Some((stages.len(), state));
        stages.push(stage);
    }
    if let Some((_, state)) = &states[plan.target] {
        check_platform(&plan, state)?;
        command_lines::check_start(state)?;
    }
    tools::leave_out(&mut stages, &paths);
    Ok(Recipe { platform: arguments.platform.clone(), epoch, stages })
}

fn epoch(file: &ParsedFile, arguments: &Arguments) -> Parsed<u64> {
    match arguments.build_args.get(EPOCH).filter(|value| !value.is_empty()) {
        None => Ok(arguments.epoch),
        Some(text) => text.parse().map_err(|_| {
            let fault = Fault::new(
                file.stages[0].at,
                format!("the build argument {EPOCH} is not a number: `{text}`"),
            );
            fault.hint("it is a time in seconds since 1970")
        }),
    }
}

/// The image must run on the platform that it is built for.
fn check_platform(plan: &Plan<'_>, state: &State) -> Parsed<()> {
    let wanted = &plan.arguments.platform;
    if state.platform.satisfies(wanted) {
        return Ok(());
    }
    // The platform stands at the stage that the chain of stages starts with.
    let base = &plan.file.stages[state.platform_of].base;
    let at = base.platform.as_ref().map_or(base.image.at, |word| word.at);
    let fault = Fault::new(at, format!("the image is for {}, and {wanted} is asked for", state.platform));
    Err(fault.hint("remove --platform here, or ask for that architecture with --arch"))
}

fn warn_of_unused(plan: &Plan<'_>, warnings: &mut Warnings) {
    let mut declared: HashSet<&str> = plan.globals.names().collect();
    declared.extend(plan.file.globals.iter().map(|argument| &*argument.name.text));
    let triggers = plan.stages.iter().flatten().flat_map(|planned| &planned.triggers);
    for step in triggers.chain(plan.file.stages.iter().flat_map(|stage| &stage.steps)) {
        if let Instruction::Arg(arguments) = &step.located.instruction {
            declared.extend(arguments.iter().map(|argument| &*argument.name.text));
        }
    }
    for name in plan.arguments.build_args.keys() {
        let predefined =
            PROXIES.contains(&&*name.to_ascii_uppercase()) || name == EPOCH || name.starts_with(OF_BUILDKIT);
        if !predefined && !declared.contains(&**name) {
            let fault = Fault::new(
                plan.file.stages[0].at,
                format!("no ARG has the name of the build argument `{name}`"),
            );
            let near = did_you_mean(name, declared.iter().copied());
            warnings.push("UnusedBuildArg", fault.maybe_hint(near));
        }
    }
}
