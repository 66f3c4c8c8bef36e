//! `RUN`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::globals::PROXIES;
use super::scope::ENTRY;
use super::stage::Lowering;
use crate::frontend::dockerfile::arguments::Translate;
use crate::frontend::dockerfile::instruction::types::{RunCommand, RunLine};
use crate::frontend::dockerfile::translate::outcome::{self, Outcome, Surroundings};
use crate::frontend::fault::{Fault, Parsed};
use crate::recipe::{Command, Mount, Network, Operation, Run, Step, Translated, Translation, Untranslated};

impl Lowering<'_, '_> {
    pub(super) fn command(&mut self, line: &RunLine, at: usize, text: &str) -> Parsed<()> {
        // A recipe repeats these in every command.
        let arguments = self.state.scope.arguments();
        self.expander.spend(at, arguments.len() * ENTRY + self.state.directory.len())?;
        let command = match &line.command {
            RunCommand::Exec(words) => Command::Exec(words.clone()),
            RunCommand::Shell(text) => Command::Shell { shell: self.shell(), text: text.clone() },
            RunCommand::Script { name, content } => {
                Command::Script { name: name.clone(), content: content.clone() }
            }
        };
        let mut mounts = Vec::new();
        for mount in &line.mounts {
            mounts.push(self.mount(mount)?);
        }
        let network = match line.network.as_ref().map(|word| &*word.text) {
            Some("none") => Network::None,
            Some("host") => Network::Host,
            _ => Network::Default,
        };
        let (translation, untranslated) = self.translated(&command, &mounts, line, at)?;
        self.note_path();
        let run = Run {
            command,
            user: self.state.user.clone(),
            directory: self.state.directory.clone(),
            arguments,
            proxies: self.proxies(),
            mounts,
            network,
            translation,
            untranslated,
            origin: self.origin(at, text),
        };
        self.step(Step::Run(run));
        Ok(())
    }

    /// The translation of a command, or why there is none.
    fn translated(
        &mut self,
        command: &Command,
        mounts: &[Mount],
        line: &RunLine,
        at: usize,
    ) -> Parsed<(Option<Translation>, Option<Untranslated>)> {
        let translate = self.plan.arguments.translate;
        if translate == Translate::Never {
            return Ok((None, None));
        }
        let surroundings = Surroundings {
            environment: &self.state.scope,
            directory: &self.state.directory,
            user: self.state.user.as_deref(),
            mounts,
            settings: &self.state.settings,
        };
        let Outcome { translation, settings, spent } = outcome::translate(command, &surroundings);
        self.expander.spend(at, spent)?;
        self.state.settings = settings;
        match translation {
            Ok(translation) => {
                let translation = Translation { required: translate == Translate::Always, ..translation };
                self.warn_of_user_packages(&translation, at);
                Ok((Some(translation), None))
            }
            Err((offset, Untranslated { word, reason })) if translate == Translate::Always => {
                let message = format!("this command needs a process: `{word}` {reason}");
                let hint = "--translate auto translates the other lines, and leaves this one a command";
                Err(Fault::new(line.places.at(offset), message).hint(hint))
            }
            Err((_, untranslated)) => Ok((None, Some(untranslated))),
        }
    }

    /// Rule 172: packages of root in the image itself. In another stage they may be on their way to elsewhere.
    fn warn_of_user_packages(&mut self, translation: &Translation, at: usize) {
        let base_of = |command: &Translated| match &command.operation {
            Operation::InstallPython(install) => install.user_base.clone(),
            _ => None,
        };
        let base = translation.chains.iter().flatten().find_map(base_of);
        if let Some(base) = base.filter(|_| self.number == self.plan.target) {
            let fault = Fault::new(at, format!("--user installs into {base}, which only root can read"));
            let hint = "leave out --user: Lambda runs functions as another user";
            self.expander.warnings.push("UserPackages", fault.hint(hint));
        }
    }

    /// The build arguments that name proxies, each in both cases. One that is declared as `ARG` is an argument as well.
    fn proxies(&self) -> Arc<BTreeMap<String, String>> {
        let given = self.plan.arguments.build_args.iter();
        let proxies = given.filter(|(name, _)| PROXIES.contains(&&*name.to_ascii_uppercase()));
        let both = proxies.flat_map(|(name, value)| {
            [name.to_ascii_uppercase(), name.to_ascii_lowercase()].map(|name| (name, value.clone()))
        });
        Arc::new(both.collect())
    }
}
