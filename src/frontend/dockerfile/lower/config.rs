//! Instructions that change variables and the config: `ARG`, `ENV`, `LABEL`, `WORKDIR`, `USER`, `VOLUME` and others.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ports::ports;
use super::scope::ENTRY;
use super::signal;
use super::stage::Lowering;
use crate::frontend::dockerfile::instruction::types::{Argument, Pair};
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed};
use crate::image::paths;
use crate::recipe::{Add, Source, Step};

impl Lowering<'_, '_> {
    pub(super) fn arguments(&mut self, arguments: &[Argument]) -> Parsed<()> {
        // Each argument sees those before it in the same instruction.
        for Argument { name, default } in arguments {
            let given = self.plan.arguments.build_args.get(&name.text);
            let value = match (given, default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expander.word(default, &self.state.scope)?),
                (None, None) => self.plan.globals.get(&name.text).map(str::to_owned),
            };
            self.expander.spend(name.at, self.state.scope.cost())?;
            self.state.scope.declare(&name.text);
            if let Some(value) = value {
                self.state.scope.set_argument(&name.text, &value);
            }
        }
        Ok(())
    }

    pub(super) fn env(&mut self, pairs: &[Pair]) -> Parsed<()> {
        self.expander.spend(pairs.first().map_or(0, |pair| pair.key.at), self.state.scope.cost())?;
        // All values see the variables before the instruction.
        for (name, value) in self.pairs("ENV", pairs)? {
            self.set_env(&name, &value);
        }
        Ok(())
    }

    pub(super) fn labels(&mut self, pairs: &[Pair]) -> Parsed<()> {
        let labels = self.pairs("LABEL", pairs)?;
        self.last.labels.extend(labels);
        Ok(())
    }

    fn pairs(&mut self, keyword: &str, pairs: &[Pair]) -> Parsed<Vec<(String, String)>> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for Pair { key, value, .. } in pairs {
            let name = self.expander.word(key, &self.state.scope)?;
            if name.is_empty() || (keyword == "ENV" && name.contains('=')) {
                return Err(Fault::new(key.at, format!("the name `{}` of {keyword} is not valid", key.text)));
            }
            expanded.push((name, self.expander.word(value, &self.state.scope)?));
        }
        Ok(expanded)
    }

    pub(super) fn directory(&mut self, word: &Word, at: usize, text: &str) -> Parsed<()> {
        let path = self.expander.word(word, &self.state.scope)?;
        if path.is_empty() {
            return Err(Fault::new(word.at, format!("the directory `{}` is empty", word.text)));
        }
        let absolute = path.starts_with('/');
        if !absolute && !self.state.sets_directory {
            let fault =
                Fault::new(word.at, format!("the directory `{path}` is relative to that of the base"));
            self.expander.warnings.push("WorkdirRelativePath", fault.hint("write an absolute path"));
        }
        self.state.sets_directory = true;
        let directory = paths::resolve(&self.state.directory, &path);
        self.set_directory(directory.clone());
        if directory != "/" {
            let origin = self.origin(at, text);
            let source = Source::EmptyDirectory { owner: self.state.user.clone(), origin };
            self.step(Step::Add(Add { source, to: Some(directory) }));
        }
        Ok(())
    }

    pub(super) fn user(&mut self, word: &Word) -> Parsed<()> {
        let user = self.expander.word(word, &self.state.scope)?;
        if user.is_empty() {
            return Err(Fault::new(word.at, format!("the user `{}` is empty", word.text)));
        }
        self.set_user(user);
        Ok(())
    }

    pub(super) fn volumes(&mut self, words: &[Word]) -> Parsed<()> {
        for word in words {
            let path = self.expander.word(word, &self.state.scope)?;
            if path.trim().is_empty() {
                return Err(Fault::new(word.at, format!("the volume `{}` is empty", word.text)));
            }
            self.expander.spend(word.at, shared(&self.state.volumes) * ENTRY)?;
            Arc::make_mut(&mut self.state.volumes).insert(path.trim().to_owned());
        }
        self.last.fields.insert("Volumes".into(), Value::Null);
        Ok(())
    }

    pub(super) fn expose(&mut self, words: &[Word]) -> Parsed<()> {
        for word in words {
            for text in self.expander.words(word, &self.state.scope)? {
                let exposed = ports(&text).map_err(|message| {
                    Fault::new(word.at, message)
                        .hint("write 80, 80/udp or 8000-8003/tcp; a comment needs a line of its own")
                })?;
                if exposed.is_mapping {
                    let fault = Fault::new(word.at, format!("EXPOSE has no host part: `{text}`"));
                    self.expander
                        .warnings
                        .push("ExposeInvalidFormat", fault.hint("write only the container's port"));
                }
                self.expander.spend(word.at, (exposed.ports.len() + shared(&self.state.ports)) * ENTRY)?;
                Arc::make_mut(&mut self.state.ports).extend(exposed.ports);
            }
        }
        self.last.fields.insert("ExposedPorts".into(), Value::Null);
        Ok(())
    }

    pub(super) fn stop_signal(&mut self, word: &Word) -> Parsed<()> {
        let name = self.expander.word(word, &self.state.scope)?;
        if !signal::is_signal(&name) {
            let fault = Fault::new(word.at, format!("`{name}` is not a signal"));
            return Err(fault.hint("for example SIGTERM, TERM or 15"));
        }
        self.last.fields.insert("StopSignal".into(), json!(name));
        Ok(())
    }
}

/// The number of names that a change copies, because another stage has the set too.
fn shared(names: &Arc<BTreeSet<String>>) -> usize {
    if Arc::strong_count(names) > 1 { names.len() } else { 0 }
}
