//! One stage: its variables and config, instruction by instruction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::expand::Expander;
use super::plan::{Plan, PlannedStage, StageBase};
use super::scope::Scope;
use crate::frontend::dockerfile::arguments::Configs;
use crate::frontend::dockerfile::instruction::types::Instruction;
use crate::frontend::dockerfile::stages::StepText;
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::frontend::dockerfile::translate::ToolSettings;
use crate::frontend::fault::Parsed;
use crate::image::paths;
use crate::image::{Config, ConfigEdit, Platform};
use crate::recipe::{Add, Base, CopyFiles, CopySource, Origin, Source, Stage, Step};

/// The `PATH` of an image that has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The state of a finished stage, for a stage that starts from it.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub scope: Scope,
    /// The config's `WorkingDir`.
    pub directory: String,
    pub user: Option<String>,
    /// The value of `SHELL`.
    pub shell: Option<Vec<String>>,
    pub entrypoint: Vec<String>,
    /// Where the file has a `CMD` in the shell form that is in force.
    pub shell_cmd: Option<usize>,
    pub ports: Arc<BTreeSet<String>>,
    pub volumes: Arc<BTreeSet<String>>,
    pub has_triggers: bool,
    pub platform: Platform,
    /// The number of the stage that decides the platform.
    pub platform_of: usize,
    /// Whether the file sets an absolute directory.
    pub sets_directory: bool,
    /// What translated lines have set up of tools.
    pub settings: ToolSettings,
}

/// The values of `PATH` at the commands of a stage, by the numbers of their steps.
pub(super) type Paths = Vec<(usize, String)>;

/// A stage on its way to the recipe.
pub(super) struct Lowering<'l, 'w> {
    pub plan: &'l Plan<'l>,
    pub number: usize,
    planned: &'l PlannedStage,
    /// The recipe's numbers and results of stages above.
    pub above: &'l [Option<(usize, State)>],
    pub expander: &'l mut Expander<'w>,
    pub state: State,
    base: Base,
    steps: Vec<Step>,
    paths: Paths,
    /// Changes of the config that later steps see.
    pending: ConfigEdit,
    /// The config at the end of the stage.
    pub last: LastConfig,
}

/// Parts of the config that no step of the stage depends on.
#[derive(Debug, Default)]
pub(super) struct LastConfig {
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    pub author: Option<String>,
    pub triggers: Vec<String>,
    pub fields: BTreeMap<String, Value>,
}

impl<'l, 'w> Lowering<'l, 'w> {
    pub fn new(
        plan: &'l Plan<'l>,
        number: usize,
        planned: &'l PlannedStage,
        above: &'l [Option<(usize, State)>],
        configs: &Configs,
        expander: &'l mut Expander<'w>,
    ) -> Parsed<Lowering<'l, 'w>> {
        let platform = || planned.platform.clone().unwrap_or_else(|| plan.arguments.platform.clone());
        let (base, state) = match &planned.base {
            StageBase::Stage(other) => match &above[*other] {
                Some((number, state)) => (Base::Stage(*number), state.clone()),
                None => unreachable!("a stage above that is needed is lowered"),
            },
            StageBase::Image(image) => {
                let state = State::new(configs.get(image), image.platform.clone(), number);
                (image.base.clone(), state)
            }
            StageBase::Directory(_) => (Base::Scratch, State::new(None, platform(), number)),
        };
        let mut lowering = Lowering {
            plan,
            number,
            planned,
            above,
            expander,
            state,
            base,
            steps: Vec::new(),
            paths: Vec::new(),
            pending: ConfigEdit::default(),
            last: LastConfig::default(),
        };
        lowering.begin();
        Ok(lowering)
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.state.has_triggers) {
            self.last.fields.insert("OnBuild".into(), Value::Null);
        }
        if let StageBase::Directory(context) = &self.planned.base {
            let at = self.plan.file.stages[self.number].at;
            let source = CopySource::Context { context: context.clone(), path: ".".into(), unpack: false };
            let files = CopyFiles::of(source, self.origin(at, "FROM a build context"));
            self.step(Step::Add(Add { source: Source::Copy(files), to: Some("/".into()) }));
        }
        if self.state.scope.get("PATH").is_none() {
            self.set_env("PATH", PATH);
        }
    }

    /// Also returns the values of `PATH` at the commands.
    pub fn run(mut self) -> Parsed<(Stage, State, Paths)> {
        let own: &[StepText] =
            if self.planned.replaced { &[] } else { &self.plan.file.stages[self.number].steps };
        for step in self.planned.triggers.iter().chain(own) {
            self.instruction(step)?;
        }
        self.finish();
        let name = self.plan.file.stages[self.number].base.name.as_ref().map(|name| name.text.clone());
        let wanted = &self.plan.arguments.platform;
        let platform = Some(&self.state.platform).filter(|platform| !platform.satisfies(wanted)).cloned();
        Ok((
            Stage { name, base: self.base, platform, finished: false, steps: self.steps },
            self.state,
            self.paths,
        ))
    }

    fn instruction(&mut self, step: &StepText) -> Parsed<()> {
        let at = step.located.at;
        match &step.located.instruction {
            Instruction::Arg(arguments) => self.arguments(arguments),
            Instruction::Env(pairs) => self.env(pairs),
            Instruction::Label(pairs) => self.labels(pairs),
            Instruction::Copy(copy) => self.copy(copy, at, &step.text),
            Instruction::Run(run) => self.command(run, at, &step.text),
            Instruction::Cmd(line) => {
                self.cmd(line, at);
                Ok(())
            }
            Instruction::Entrypoint(line) => {
                self.entrypoint(line, at);
                Ok(())
            }
            Instruction::Shell(words) => {
                self.state.shell = Some(words.clone());
                self.last.fields.insert("Shell".into(), words.clone().into());
                Ok(())
            }
            Instruction::Workdir(word) => self.directory(word, at, &step.text),
            Instruction::User(word) => self.user(word),
            Instruction::Expose(words) => self.expose(words),
            Instruction::Volume(words) => self.volumes(words),
            Instruction::StopSignal(word) => self.stop_signal(word),
            Instruction::Healthcheck(value) => {
                self.last.fields.insert("Healthcheck".into(), value.clone());
                Ok(())
            }
            Instruction::Maintainer(name) => {
                self.last.author = Some(name.clone());
                Ok(())
            }
            Instruction::Onbuild(trigger) => {
                self.last.triggers.push(trigger.clone());
                Ok(())
            }
            Instruction::From(_) => unreachable!("FROM begins a stage"),
        }
    }

    pub fn origin(&self, at: usize, text: &str) -> Origin {
        self.plan.file.origin(at, text)
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.state.scope.set(name, value);
        // The edit expands variables too.
        self.pending.env.push((name.to_owned(), value.replace('$', "$$")));
    }

    pub fn set_directory(&mut self, directory: String) {
        self.pending.workdir = Some(directory.clone());
        self.state.directory = directory;
    }

    pub fn set_user(&mut self, user: String) {
        self.pending.user = Some(user.clone());
        self.state.user = Some(user).filter(|user| !user.is_empty());
    }

    /// Appends a step, after the changes of the config before it.
    pub fn step(&mut self, step: Step) {
        self.flush();
        self.steps.push(step);
    }

    /// Notes the value of `PATH` for the next step.
    pub fn note_path(&mut self) {
        self.flush();
        let path = self.state.scope.get("PATH").unwrap_or(PATH).to_owned();
        self.paths.push((self.steps.len(), path));
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending != ConfigEdit::default() {
            self.steps.push(Step::Edit(pending));
        }
    }

    fn finish(&mut self) {
        let mut last = std::mem::take(&mut self.last);
        for (field, names) in [("ExposedPorts", &self.state.ports), ("Volumes", &self.state.volumes)] {
            // The field is null if an instruction of the stage changed it.
            last.fields.entry(field.to_owned()).and_modify(|value| *value = set(names));
        }
        let edit = &mut self.pending;
        edit.labels = last.labels;
        edit.author = last.author;
        edit.fields = last.fields;
        // A config has no empty command; a new entrypoint removes the base's `CMD`.
        let mut command = |field: &str, words: Option<Vec<String>>| {
            if words.as_ref().is_some_and(Vec::is_empty) {
                edit.fields.insert(field.to_owned(), Value::Null);
            }
            words.filter(|words| !words.is_empty())
        };
        let removes_cmd = last.entrypoint.is_some() && last.cmd.is_none();
        let cmd = if removes_cmd { Some(Vec::new()) } else { last.cmd };
        (edit.entrypoint, edit.cmd) = (command("Entrypoint", last.entrypoint), command("Cmd", cmd));
        if !last.triggers.is_empty() {
            edit.fields.insert("OnBuild".into(), last.triggers.into());
            self.state.has_triggers = true;
        }
        self.flush();
    }
}

impl State {
    fn new(config: Option<&Config>, platform: Platform, number: usize) -> State {
        let mut scope = Scope::default();
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let process = |field: &str| config.and_then(|config| config.as_json().get("config")?.get(field));
        let names = |field: &str| {
            let object = process(field).and_then(Value::as_object).into_iter().flatten();
            Arc::new(object.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>())
        };
        let list = |field: &str| {
            let array = process(field).and_then(Value::as_array);
            array.map(|words| words.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
        };
        for (name, value) in config.map(Config::env).unwrap_or_default() {
            scope.set(name, value);
        }
        State {
            scope,
            directory: paths::resolve("/", config.and_then(Config::workdir).unwrap_or("/")),
            user: config.and_then(Config::user).map(str::to_owned),
            shell: list("Shell").filter(|words| !words.is_empty()),
            entrypoint: owned(config.map(Config::entrypoint).unwrap_or_default()),
            shell_cmd: None,
            ports: names("ExposedPorts"),
            volumes: names("Volumes"),
            has_triggers: list("OnBuild").is_some_and(|triggers| !triggers.is_empty()),
            platform,
            platform_of: number,
            sets_directory: false,
            settings: ToolSettings::default(),
        }
    }
}

/// A set as Docker's config has it: an object with empty values.
fn set(names: &BTreeSet<String>) -> Value {
    Value::Object(names.iter().map(|name| (name.clone(), json!({}))).collect())
}
