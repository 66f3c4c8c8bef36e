//! `RUN`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::globals::PROXIES;
use super::scope::ENTRY;
use super::stage::Lowering;
use crate::frontend::dockerfile::instruction::types::{RunCommand, RunLine};
use crate::frontend::dockerfile::syntax::fault::Parsed;
use crate::recipe::{Command, Network, Run, Step};

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
        let run = Run {
            command,
            user: self.state.user.clone(),
            directory: self.state.directory.clone(),
            arguments,
            proxies: self.proxies(),
            mounts,
            network,
            translation: None,
            origin: self.origin(at, text),
        };
        self.step(Step::Run(run));
        Ok(())
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
