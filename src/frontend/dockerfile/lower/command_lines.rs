//! `CMD` and `ENTRYPOINT`.

use super::stage::{Lowering, State};
use crate::frontend::dockerfile::instruction::types::CommandLine;
use crate::frontend::fault::{Fault, Parsed};

/// The shell of an image without `SHELL`.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The start script of AWS's base images, which takes exactly one argument.
const LAMBDA_ENTRYPOINT: &str = "lambda-entrypoint.sh";

impl Lowering<'_, '_> {
    pub(super) fn cmd(&mut self, line: &CommandLine, at: usize) {
        self.warn(line, "CMD", at, self.last.cmd.is_some());
        self.state.shell_cmd = matches!(line, CommandLine::Shell(_)).then_some(at);
        self.last.cmd = Some(self.words(line));
    }

    pub(super) fn entrypoint(&mut self, line: &CommandLine, at: usize) {
        self.warn(line, "ENTRYPOINT", at, self.last.entrypoint.is_some());
        let words = self.words(line);
        self.state.entrypoint.clone_from(&words);
        self.last.entrypoint = Some(words);
    }

    fn words(&self, line: &CommandLine) -> Vec<String> {
        match line {
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) => self.shell().into_iter().chain([text.clone()]).collect(),
        }
    }

    /// The shell in force, and its arguments before the text.
    pub(super) fn shell(&self) -> Vec<String> {
        self.state.shell.clone().unwrap_or_else(|| SHELL.map(str::to_owned).to_vec())
    }

    fn warn(&mut self, line: &CommandLine, keyword: &str, at: usize, repeated: bool) {
        if repeated {
            let fault = Fault::new(at, format!("only the last {keyword} of a stage counts"));
            let fault = fault.hint("remove the others");
            self.expander.warnings.push("MultipleInstructionsDisallowed", fault);
        }
        match line {
            CommandLine::Shell(text) if text.starts_with('[') => {
                let fault = Fault::new(
                    at,
                    format!("{keyword} has brackets but is not JSON, so a shell runs the text"),
                );
                let fault = fault.hint("use double quotes, no comma before `]`, and nothing after it");
                self.expander.warnings.push("JSONArgsRecommended", fault);
            }
            // A program that replaces the shell gets the signals.
            CommandLine::Shell(text) if self.state.shell.is_none() && !text.starts_with("exec ") => {
                let fault = Fault::new(
                    at,
                    format!("the shell form of {keyword} runs /bin/sh, which passes on no signals"),
                );
                let fault = fault.hint(format!("write {keyword} [\"PROGRAM\", \"ARGUMENT\"]"));
                self.expander.warnings.push("JSONArgsRecommended", fault);
            }
            CommandLine::Exec(words) => self.warn_of_variable(words, keyword, at),
            CommandLine::Shell(_) => {}
        }
    }

    /// Nothing expands a variable of the exec form, unless the program is a shell.
    fn warn_of_variable(&mut self, words: &[String], keyword: &str, at: usize) {
        if words.iter().any(|word| word == "-c" || word == "-lc") {
            return;
        }
        let has_variable = |word: &&String| word.contains("${") || word.starts_with('$');
        if let Some(word) = words.iter().find(has_variable) {
            let fault = Fault::new(at, format!("nothing expands `{word}` in the JSON form of {keyword}"));
            let fault = fault.hint("write the value, or run a shell: [\"sh\", \"-c\", \"…\"]");
            self.expander.warnings.push("ExecFormVariable", fault);
        }
    }
}

/// Refuses a `CMD` in the shell form with the start script of AWS's bases, which would refuse it in Lambda.
pub(super) fn check_start(state: &State) -> Parsed<()> {
    let script =
        state.entrypoint.first().is_some_and(|program| program.rsplit('/').next() == Some(LAMBDA_ENTRYPOINT));
    match state.shell_cmd {
        Some(at) if script => {
            let fault = format!(
                "this form of CMD makes three arguments, but /{LAMBDA_ENTRYPOINT} takes one: the handler"
            );
            Err(Fault::new(at, fault)
                .hint("write CMD [\"module.function\"], with brackets and double quotes"))
        }
        _ => Ok(()),
    }
}
