//! A line, command by command: the state that one command leaves for the next.

mod builtins;
mod output;
mod redirections;

use self::output::Output;
use super::command::Command;
use super::context::Context;
use super::directory::Directory;
use super::mounts::Mounts;
use super::packages::poetry::{self, Setting};
use super::packages::settings::ToolSettings;
use super::refusal::{Attempt, Refusal, Span};
use super::registry;
use super::shell::expand::{Field, expand, value};
use super::shell::parse::{Assignment, SimpleCommand, parse};
use super::shell::program::ShellOptions;
use super::shell::quote;
use super::shell::variables::{ShellVariables, check_name};
use super::shell::words::ShellWord;
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::recipe::{Operation, Translated, Translation};

/// A line and the translation of what has been read of it.
pub(super) struct Line<'l> {
    variables: ShellVariables<'l>,
    directory: Directory,
    mounts: &'l Mounts<'l>,
    options: ShellOptions,
    /// Whether a shell reads the line.
    in_shell: bool,
    chains: Vec<Vec<Translated>>,
    settings: ToolSettings,
    /// Whether a command before may have changed files.
    begun: bool,
    /// A command that changes the variables or the directory, and perhaps is not reached: later chains depend on it.
    doubt: Option<Refusal>,
}

/// Whether a command changes what later commands see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Nothing,
    State,
    /// Its failure ends the line in some shells: a redirection of a command that only a shell has.
    End,
}

impl<'l> Line<'l> {
    pub fn new(
        environment: &'l dyn Variables,
        directory: &str,
        mounts: &'l Mounts<'l>,
        settings: &ToolSettings,
    ) -> Line<'l> {
        Line {
            variables: ShellVariables::new(environment, mounts.secrets()),
            directory: Directory::new(directory),
            mounts,
            options: ShellOptions::default(),
            in_shell: true,
            chains: Vec::new(),
            settings: settings.clone(),
            begun: false,
            doubt: None,
        }
    }

    /// Translates a text that a shell with these options reads.
    pub fn shell(&mut self, text: &str, options: ShellOptions) -> Attempt<()> {
        if let Some(name) = self.variables.unusual() {
            let reason = format!("is read by a shell that the variable {name} changes");
            return Err(Span::new(0, text.len()).refuse(reason));
        }
        self.options = options;
        self.variables.nounset = options.nounset;
        parse(text)?.iter().try_for_each(|chain| self.chain(chain))
    }

    /// Translates one command that no shell reads; the text has its words, quoted.
    pub fn exec(&mut self, text: &str) -> Attempt<()> {
        self.in_shell = false;
        match &*parse(text)? {
            [chain] if chain.iter().all(|command| command.assignments.is_empty()) => self.chain(chain),
            _ => Err(Span::new(0, text.len()).refuse("is not one command")),
        }
    }

    pub fn spent(&self) -> usize {
        self.variables.spent()
    }

    /// Refuses an install after whose failure the line would go on: it is known only where the line runs.
    pub fn check_installs(&self, text: &str) -> Attempt<()> {
        let has_install = self.chains.iter().flatten().any(|command| is_install(&command.operation));
        match has_install && self.chains.len() > 1 && !self.options.errexit {
            true => {
                let reason = "has an install whose failure does not end it: join the commands by `&&`";
                Err(Span::new(0, text.len()).refuse(reason))
            }
            false => Ok(()),
        }
    }

    pub fn finish(self) -> (Translation, ToolSettings) {
        (
            Translation {
                chains: self.chains,
                errexit: self.options.errexit,
                required: false,
                mounts: self.mounts.read(),
            },
            self.settings,
        )
    }

    fn chain(&mut self, commands: &[SimpleCommand]) -> Attempt<()> {
        if let Some(refusal) = self.doubt.take() {
            return Err(refusal);
        }
        let mut chain = Vec::new();
        let mut can_fail = false;
        for (number, command) in commands.iter().enumerate() {
            let (translated, lasting) = self.command(command)?;
            let fails = translated.iter().any(|translated| translated.operation != Operation::Nothing);
            // The failure of the last command of a chain ends the line after `set -e`; that of another does not.
            let is_sure = self.options.errexit && !can_fail && number + 1 == commands.len();
            can_fail |= fails;
            self.begun |= fails;
            let doubt = match lasting {
                Lasting::State if can_fail => {
                    Some("may be left out by a failure that does not end the line: join the commands by `&&`")
                }
                Lasting::End => Some("ends the line in some shells if it fails: join the commands by `&&`"),
                _ => None,
            };
            if let Some(reason) = doubt.filter(|_| !is_sure && self.doubt.is_none()) {
                self.doubt = Some(command.span.refuse(reason));
            }
            chain.extend(translated);
        }
        // `set` leaves nothing.
        if !chain.is_empty() {
            self.chains.push(chain);
        }
        Ok(())
    }

    fn command(&mut self, command: &SimpleCommand) -> Attempt<(Vec<Translated>, Lasting)> {
        let mut fields = Vec::new();
        for word in &command.words {
            fields.extend(expand(word, &mut self.variables)?);
        }
        self.variables.spend(self.directory.path.len(), command.span)?;
        let directory = self.directory.path.clone();
        let output = self.output(&command.redirections)?;
        let Some((program, arguments)) = fields.split_first() else {
            return self.without_words(command, output, directory);
        };
        let (name, by_path) = self.name(program)?;
        let (own, prefixes) = self.prefixes(&command.assignments, name)?;
        let lasting =
            if output.file.is_some() { None } else { self.builtin(command, (name, by_path), arguments)? };
        let (operations, lasting) = match lasting {
            Some(found) => found,
            None => {
                let (operations, lasting) =
                    self.translated(command, name, by_path, arguments, (&output, own))?;
                let is_special = name == ":" && output.file.is_some();
                (operations, if is_special { Lasting::End } else { lasting })
            }
        };
        // Only installs read variables.
        let prefixes = prefixes.into_iter().filter(|_| operations.iter().any(is_install));
        let text = output.text(prefixes.chain(fields.iter().map(quote::quoted)).collect());
        let of = |operation| Translated { text: text.clone(), directory: directory.clone(), operation };
        Ok((operations.into_iter().map(of).collect(), lasting))
    }

    /// The name of the program, and whether it is written with its directory.
    fn name<'f>(&self, program: &'f Field) -> Attempt<(&'f str, bool)> {
        let text = program.plain()?;
        let of_system = ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"];
        let name = of_system.iter().find_map(|directory| text.strip_prefix(directory));
        match (name, text.contains('/')) {
            (Some(name), _) => Ok((name, true)),
            (None, false) => Ok((text, !self.in_shell)),
            (None, true) => Err(program.refuse("is a program in a directory of its own")),
        }
    }

    /// Assignments before a command are for that command alone. Returns the variables that it sees, and
    /// their texts.
    fn prefixes(
        &mut self,
        assignments: &[Assignment],
        name: &str,
    ) -> Attempt<(Option<ShellVariables<'l>>, Vec<String>)> {
        let reads = !assignments.is_empty() && registry::reads_variables(name);
        let mut texts = Vec::new();
        let mut own = reads.then(|| self.variables.clone());
        for assignment in assignments {
            let span = assignment.value.span;
            check_name(&assignment.name, span)?;
            let text = value(&assignment.value, &mut self.variables)?;
            if matches!(name, ":" | "cd" | "export" | "set") {
                return Err(span.refuse("stays set in some shells only"));
            }
            texts.push(format!("{}={}", assignment.name, quote::value(&text)));
            if let Some(own) = &mut own {
                if value(&assignment.value, own)? != text {
                    return Err(span.refuse("has the value of a variable that is set just before"));
                }
                own.set(&assignment.name, Some(text), true, span)?;
            }
        }
        Ok((own, texts))
    }

    fn translated(
        &mut self,
        command: &SimpleCommand,
        name: &str,
        by_path: bool,
        arguments: &[Field],
        (output, own): (&Output, Option<ShellVariables<'l>>),
    ) -> Attempt<(Vec<Operation>, Lasting)> {
        let span = command.words.first().map_or(command.span, |word| word.span);
        let translator = registry::translator(name).filter(|_| !(by_path && name == ":"));
        let translator = translator.ok_or_else(|| span.refuse(registry::reason(name)))?;
        if let Some((at, _)) = output.file.as_ref().filter(|_| !registry::has_known_output(name)) {
            return Err(at.refuse(format!("takes the output of {name}, which only a process has")));
        }
        let file = output.file.as_ref().map(|(_, file)| file.clone());
        let messages_to_file = output.messages_to_file;
        let has_directory =
            by_path && self.in_shell || command.words.first().is_some_and(ShellWord::has_slash);
        let command =
            Command { span, name, by_path, has_directory, arguments, output: file, messages_to_file };
        let context = Context { variables: own.as_ref().unwrap_or(&self.variables), ..self.context() };
        let operations = translator(&command, &context)?;
        let setting = match &*operations {
            [Operation::WriteSettings { .. }] => Some(poetry::config(&command, &context)?.1),
            _ => None,
        };
        let lasting = self.set_up(&operations, setting);
        Ok((operations, lasting))
    }

    /// Follows what a command sets up of tools.
    fn set_up(&mut self, operations: &[Operation], setting: Option<Setting>) -> Lasting {
        if let [Operation::InstallPython(install)] = operations
            && install.target.is_none()
        {
            self.settings.installed(&install.packages);
        }
        match setting {
            Some((section, name, value)) => {
                self.settings.set_poetry(section, name, &value);
                Lasting::State
            }
            None => Lasting::Nothing,
        }
    }

    fn context(&self) -> Context<'_, 'l> {
        Context {
            variables: &self.variables,
            directory: &self.directory.path,
            mounts: self.mounts,
            settings: &self.settings,
        }
    }

    /// A command without words: assignments, which are for the line, or a redirection, which makes a file.
    fn without_words(
        &mut self,
        command: &SimpleCommand,
        output: Output,
        directory: String,
    ) -> Attempt<(Vec<Translated>, Lasting)> {
        match (&*command.assignments, &output.file) {
            _ if !command.words.is_empty() => {
                return Err(command.span.refuse("begins with a variable that has no value"));
            }
            ([], Some((_, file))) => {
                let operation =
                    Operation::Write { path: file.path.clone(), append: file.append, content: Vec::new() };
                let text = output.text(vec![":".to_owned()]);
                return Ok((vec![Translated { text, directory, operation }], Lasting::Nothing));
            }
            ([_, ..], None) if command.redirections.is_empty() => {}
            _ => return Err(command.span.refuse("is no command")),
        }
        let mut texts = Vec::new();
        for Assignment { name, value: word } in &command.assignments {
            let value = value(word, &mut self.variables)?;
            texts.push(format!("{name}={}", quote::value(&value)));
            self.variables.set(name, Some(value), false, word.span)?;
        }
        let text = texts.join(" ");
        Ok((vec![Translated { text, directory, operation: Operation::Nothing }], Lasting::State))
    }
}

/// Whether packages are installed.
fn is_install(operation: &Operation) -> bool {
    matches!(operation, Operation::InstallPython(_) | Operation::InstallNode(_))
}
