//! Commands that only a shell has.

use super::super::refusal::{Attempt, Span};
use super::super::shell::expand::{Field, value};
use super::super::shell::parse::SimpleCommand;
use super::super::shell::words::{ShellWord, name_length};
use super::{Lasting, Line};
use crate::recipe::Operation;

impl Line<'_> {
    /// A command that only a shell has: it changes what later commands see.
    pub(super) fn builtin(
        &mut self,
        command: &SimpleCommand,
        (name, by_path): (&str, bool),
        arguments: &[Field],
    ) -> Attempt<Option<(Vec<Operation>, Lasting)>> {
        let is_builtin = matches!(name, "cd" | "export" | "set");
        let program = command.words.first().map_or(command.span, |word| word.span);
        match name {
            _ if is_builtin && by_path => Err(program.refuse("is a command of the shell, not a program")),
            "cd" => {
                let [operand] = arguments else {
                    return Err(program.refuse("is translated with one directory"));
                };
                if operand.text.starts_with('-') {
                    return Err(operand.refuse("is not a directory that is translated"));
                }
                let path = self.context().entered(operand)?;
                self.directory = self.directory.enter(operand)?;
                Ok(Some((vec![Operation::Enter { path }], Lasting::State)))
            }
            "export" => {
                let words = command.words.get(1..).unwrap_or_default();
                self.export(words, arguments, program)?;
                Ok(Some((vec![Operation::Nothing], Lasting::State)))
            }
            "set" => {
                if self.begun || arguments.is_empty() {
                    return Err(program.refuse("is translated at the beginning of the line only"));
                }
                let arguments = arguments.iter().map(|field| Ok((field.plain()?, field.span)));
                self.options.set(&arguments.collect::<Attempt<Vec<_>>>()?)?;
                self.variables.nounset = self.options.nounset;
                Ok(Some((Vec::new(), Lasting::Nothing)))
            }
            _ => Ok(None),
        }
    }

    fn export(&mut self, words: &[ShellWord], arguments: &[Field], program: Span) -> Attempt<()> {
        if arguments.is_empty() || words.len() != arguments.len() {
            return Err(program.refuse("is translated with variables only"));
        }
        for (word, field) in words.iter().zip(arguments) {
            let text = self.same(word, field)?;
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            };
            if name_length(name) != name.len() || name.is_empty() {
                return Err(field.refuse("is not the name of a variable"));
            }
            self.variables.set(name, value, true, field.span)?;
        }
        Ok(())
    }

    /// The text of a word that some shells split at the blanks of variables, and some do not.
    pub(super) fn same<'f>(&mut self, word: &ShellWord, field: &'f Field) -> Attempt<&'f str> {
        let text = field.plain()?;
        match value(word, &mut self.variables)? == text {
            true => Ok(text),
            false => Err(field.refuse("has blanks in a variable, so it needs double quotes")),
        }
    }
}
