//! Which stages the target needs, and what each starts from.

use std::collections::HashMap;

use super::expand::plain;
use super::globals::Globals;
use crate::frontend::dockerfile::arguments::{Arguments, BaseImage, Configs, NamedContext};
use crate::frontend::dockerfile::instruction::parse;
use crate::frontend::dockerfile::instruction::types::Instruction;
use crate::frontend::dockerfile::platform;
use crate::frontend::dockerfile::stages::{ParsedFile, StageText, StepText};
use crate::frontend::dockerfile::syntax::lines;
use crate::frontend::dockerfile::syntax::shell::Lexer;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::dockerfile::warning::Warnings;
use crate::frontend::fault::{Fault, Parsed, did_you_mean, near};
use crate::image::{Config, Platform, Reference};
use crate::recipe::{Base, BuildContext};

const SCRATCH: &str = "scratch";

/// The stages of a build.
pub(in crate::frontend) struct Plan<'p> {
    pub(super) file: &'p ParsedFile,
    pub(super) arguments: &'p Arguments,
    pub(super) globals: Globals,
    pub(super) target: usize,
    /// The stages that the target needs; `None` for others.
    pub(super) stages: Vec<Option<PlannedStage>>,
    /// Base images without a config.
    pub(in crate::frontend) missing: Vec<BaseImage>,
    /// The stages of each name.
    names: HashMap<&'p str, Vec<usize>>,
}

/// A stage that is built.
pub(super) struct PlannedStage {
    pub base: StageBase,
    /// The value of `--platform`; a stage that starts from another has that one's platform.
    pub platform: Option<Platform>,
    /// The triggers of the base, which run first.
    pub triggers: Vec<StepText>,
    /// Whether a named context stands for the stage, so that its instructions do not run.
    pub replaced: bool,
}

/// The base of a stage.
pub(super) enum StageBase {
    Stage(usize),
    Image(Box<BaseImage>),
    Directory(BuildContext),
}

/// The source that `--from` names.
pub(super) enum FilesFrom {
    Stage(usize),
    Image(Base),
    Context(BuildContext),
}

impl<'p> Plan<'p> {
    pub fn new(
        file: &'p ParsedFile,
        arguments: &'p Arguments,
        configs: &Configs,
        warnings: &mut Warnings,
    ) -> Parsed<Plan<'p>> {
        let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, stage) in file.stages.iter().enumerate() {
            if let Some(name) = &stage.base.name {
                names.entry(&name.text).or_default().push(number);
            }
        }
        let target = target(file, arguments, &names)?;
        let globals = Globals::new(file, arguments)?;
        let stages = file.stages.iter().map(|_| None).collect();
        let mut plan = Plan { file, arguments, globals, target, stages, missing: Vec::new(), names };
        let mut needed = vec![false; target + 1];
        needed[target] = true;
        // Whatever a stage needs stands above it.
        for number in (0..=target).rev() {
            if needed[number] {
                let planned = plan.stage(number, configs, warnings)?;
                for other in plan.needed_by(number, &planned, warnings)? {
                    needed[other] = true;
                }
                plan.stages[number] = Some(planned);
            }
        }
        Ok(plan)
    }

    fn stage(&mut self, number: usize, configs: &Configs, warnings: &mut Warnings) -> Parsed<PlannedStage> {
        let text = &self.file.stages[number];
        let platform = self.platform(text)?;
        let wanted = platform.clone().unwrap_or_else(|| self.arguments.platform.clone());
        let replacement = self.replacement(number).cloned();
        let replaced = replacement.is_some();
        let base = match replacement {
            Some(context) => of_context(context, wanted),
            None => self.base(number, text, wanted, warnings)?,
        };
        let mut triggers = Vec::new();
        match &base {
            _ if replaced => {}
            StageBase::Directory(_) => {}
            StageBase::Stage(other) if self.replacement(*other).is_some() => {}
            StageBase::Stage(other) => {
                for step in &self.file.stages[*other].steps {
                    if let Instruction::Onbuild(trigger) = &step.located.instruction {
                        triggers.push(self::trigger(trigger, text.at)?);
                    }
                }
            }
            StageBase::Image(image) => {
                for trigger in configs.get(image).map(triggers_of).unwrap_or_default() {
                    triggers.push(self::trigger(trigger, text.at)?);
                }
            }
        }
        if let StageBase::Image(image) = &base
            && image.base != Base::Scratch
            && configs.get(image).is_none()
            && !self.missing.contains(image)
        {
            self.missing.push((**image).clone());
        }
        Ok(PlannedStage { base, platform, triggers, replaced })
    }

    /// The context that stands for a stage.
    fn replacement(&self, number: usize) -> Option<&'p NamedContext> {
        self.arguments.named(&self.file.stages[number].base.name.as_ref()?.text)
    }

    fn base(
        &self,
        number: usize,
        text: &StageText,
        wanted: Platform,
        warnings: &mut Warnings,
    ) -> Parsed<StageBase> {
        let word = &text.base.image;
        let expanded = plain(&Lexer::new(self.file.escape), word, &self.globals)?;
        let name = &expanded.text;
        if name.trim().is_empty() {
            let fault = Fault::new(word.at, format!("the image `{}` has an empty name", word.text));
            return Err(fault.maybe_hint(self.unset_hint(&expanded.unset)));
        }
        let above = self.names.get(&*name.to_ascii_lowercase());
        if let Some(above) = above.and_then(|all| all[..all.partition_point(|other| *other < number)].last())
        {
            return Ok(StageBase::Stage(*above));
        }
        if name == SCRATCH {
            return Ok(of_image(Base::Scratch, wanted));
        }
        if let Some(context) = self.arguments.named(name) {
            return Ok(of_context(context.clone(), wanted));
        }
        let reference: Reference = name.parse().map_err(|_| {
            let fault = Fault::new(word.at, format!("invalid image name `{name}`"));
            let hint = "write it as registry/repository:tag, with the repository in lower case";
            fault.hint(hint).maybe_hint(self.unset_hint(&expanded.unset))
        })?;
        for name in &expanded.unset {
            let fault = Fault::new(word.at, format!("the variable `{name}` is not set for FROM"));
            warnings.push("UndefinedArgInFrom", fault.maybe_hint(self.unset_hint(&expanded.unset)));
        }
        Ok(of_image(Base::Registry(reference), wanted))
    }

    fn platform(&self, text: &StageText) -> Parsed<Option<Platform>> {
        let Some(word) = &text.base.platform else { return Ok(None) };
        let expanded = plain(&Lexer::new(self.file.escape), word, &self.globals)?;
        let parsed = platform::parse(&expanded.text, &self.arguments.build_platform);
        parsed.map(Some).ok_or_else(|| {
            let several = expanded.text.contains(',');
            let fault = Fault::new(word.at, format!("invalid platform `{}`", expanded.text));
            let hint = if several { "a stage has one platform" } else { "write linux/arm64 or linux/amd64" };
            fault.hint(hint).maybe_hint(self.unset_hint(&expanded.unset))
        })
    }

    /// The hint for the first variable that a `FROM` uses and that is not set.
    pub(super) fn unset_hint(&self, unset: &[String]) -> Option<String> {
        let name = unset.first()?;
        if self.file.globals.iter().any(|argument| argument.name.text == *name) {
            return Some(format!("`{name}` has no default: pass --build-arg {name}=VALUE"));
        }
        let declared = |step: &StepText| match &step.located.instruction {
            Instruction::Arg(arguments) => arguments.iter().any(|argument| argument.name.text == *name),
            _ => false,
        };
        if self.file.stages.iter().flat_map(|stage| &stage.steps).any(declared) {
            return Some(format!("FROM sees only what stands before the first FROM: move ARG {name} there"));
        }
        let near = near(name, self.globals.names());
        Some(match near {
            Some(near) => format!("`{name}` is not set; did you mean `{near}`?"),
            None => format!("`{name}` is not set: declare ARG {name}=DEFAULT before the first FROM"),
        })
    }

    /// The numbers of the stages that a stage needs.
    fn needed_by(
        &self,
        number: usize,
        planned: &PlannedStage,
        warnings: &mut Warnings,
    ) -> Parsed<Vec<usize>> {
        let mut needed = Vec::new();
        if let StageBase::Stage(other) = planned.base {
            needed.push(other);
        }
        let own: &[StepText] = if planned.replaced { &[] } else { &self.file.stages[number].steps };
        for step in planned.triggers.iter().chain(own) {
            let froms: Vec<Word> = match &step.located.instruction {
                Instruction::Copy(copy) => copy.from.iter().cloned().collect(),
                Instruction::Run(run) => {
                    let froms = run.mounts.iter().filter_map(|mount| Some((mount.from()?, mount.at)));
                    froms.map(|(from, at)| Word { text: from.to_owned(), at }).collect()
                }
                _ => continue,
            };
            for from in froms {
                match self.files_from(&from, number)? {
                    FilesFrom::Stage(other) => needed.push(other),
                    FilesFrom::Image(_) => self.warn_of_near_stage(&from, warnings),
                    FilesFrom::Context(_) => {}
                }
            }
        }
        Ok(needed)
    }

    fn warn_of_near_stage(&self, from: &Word, warnings: &mut Warnings) {
        let Some(near) = near(&from.text, self.names.keys().copied()).filter(|near| *near != from.text)
        else {
            return;
        };
        let fault = Fault::new(from.at, format!("`{}` is not a stage, so it is an image's name", from.text));
        warnings.push("NearStageName", fault.hint(format!("did you mean the stage `{near}`?")));
    }

    /// The source that `--from` of the stage `current` names: a stage by number or name, a context, or an image.
    pub(super) fn files_from(&self, from: &Word, current: usize) -> Parsed<FilesFrom> {
        let name = &from.text;
        let fault = |message: String| Fault::new(from.at, message);
        if !plain(&Lexer::new(self.file.escape), from, &()).is_ok_and(|expanded| expanded.text == *name) {
            let fault = fault(format!("variables and quotes are not expanded in --from: `{name}`"));
            return Err(fault.hint("name a stage there that has the variable: FROM $IMAGE AS tools"));
        }
        if let Ok(number) = name.parse::<usize>() {
            return match number {
                _ if number >= self.file.stages.len() => Err(fault(format!(
                    "there is no stage {number}: the last is {}",
                    self.file.stages.len() - 1
                ))),
                _ => self.earlier(number, from, current),
            };
        }
        if let Some(number) = self.names.get(&*name.to_ascii_lowercase()).and_then(|numbers| numbers.last()) {
            return match self.replacement(*number) {
                Some(NamedContext::Directory(context)) => Ok(FilesFrom::Context(context.clone())),
                Some(NamedContext::Image(image)) => Ok(FilesFrom::Image(image.clone())),
                None => self.earlier(*number, from, current),
            };
        }
        match self.arguments.named(name) {
            Some(NamedContext::Directory(context)) => return Ok(FilesFrom::Context(context.clone())),
            Some(NamedContext::Image(image)) => return Ok(FilesFrom::Image(image.clone())),
            None if name == SCRATCH => return Ok(FilesFrom::Image(Base::Scratch)),
            None => {}
        }
        let reference = name.parse::<Reference>().map_err(|_| {
            let fault = fault(format!("`{name}` is neither a stage nor the name of an image"));
            fault.maybe_hint(did_you_mean(name, self.names.keys().copied()))
        })?;
        Ok(FilesFrom::Image(Base::Registry(reference)))
    }

    fn earlier(&self, number: usize, from: &Word, current: usize) -> Parsed<FilesFrom> {
        let fault = |message: &str| Err(Fault::new(from.at, format!("the stage `{}` {message}", from.text)));
        match number.cmp(&current) {
            std::cmp::Ordering::Less => Ok(FilesFrom::Stage(number)),
            std::cmp::Ordering::Equal => fault("cannot copy from itself"),
            std::cmp::Ordering::Greater => fault("stands below this one")
                .map_err(|fault| fault.hint("move it above the stage that copies from it")),
        }
    }
}

fn target(file: &ParsedFile, arguments: &Arguments, names: &HashMap<&str, Vec<usize>>) -> Parsed<usize> {
    let Some(wanted) = &arguments.target else { return Ok(file.stages.len() - 1) };
    let found = names.get(&*wanted.to_ascii_lowercase()).and_then(|numbers| numbers.last());
    found.copied().ok_or_else(|| {
        let fault =
            Fault::new(file.stages[0].at, format!("the target `{wanted}` is not the name of a stage"));
        let near = did_you_mean(wanted, names.keys().copied());
        let mut all: Vec<&str> = names.keys().copied().collect();
        all.sort_unstable();
        fault.hint(near.unwrap_or_else(|| match all.is_empty() {
            true => "no stage has a name; write FROM IMAGE AS NAME".to_owned(),
            false => format!("the stages are {}", all.join(", ")),
        }))
    })
}

fn of_context(context: NamedContext, platform: Platform) -> StageBase {
    match context {
        NamedContext::Directory(context) => StageBase::Directory(context),
        NamedContext::Image(base) => of_image(base, platform),
    }
}

fn of_image(base: Base, platform: Platform) -> StageBase {
    StageBase::Image(Box::new(BaseImage { base, platform }))
}

fn triggers_of(config: &Config) -> Vec<&str> {
    let list = config
        .as_json()
        .get("config")
        .and_then(|process| process.get("OnBuild"))
        .and_then(|list| list.as_array());
    list.into_iter().flatten().filter_map(|trigger| trigger.as_str()).collect()
}

/// Parses a trigger; `at` is the `FROM` that runs it.
fn trigger(text: &str, at: usize) -> Parsed<StepText> {
    let (statement, escape) = lines::read_trigger(text, at)?;
    let located = parse::parse(&statement, escape).map_err(|fault| Fault {
        message: format!("in the trigger `{text}` of the base: {}", fault.message),
        ..fault
    })?;
    match located.instruction {
        Instruction::From(_) | Instruction::Onbuild(_) | Instruction::Maintainer(_) => {
            Err(Fault::new(at, format!("the base has the trigger `{text}`, which is not allowed")))
        }
        _ => Ok(StepText { located, text: text.to_owned() }),
    }
}
