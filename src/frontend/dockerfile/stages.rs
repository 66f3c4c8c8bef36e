//! A parsed Dockerfile: arguments before the first stage, and stages.

use super::instruction::parse;
use super::instruction::types::{Argument, BaseLine, Instruction, Located};
use super::syntax::directives::Check;
use super::syntax::lines::{self, Statement};
use super::warning::{self, Warning};
use crate::error::{Error, Result};
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::source_text::SourceText;
use crate::recipe::Origin;

/// A Dockerfile without syntax errors.
#[derive(Clone, Debug)]
pub(super) struct ParsedFile {
    pub source: SourceText,
    pub escape: char,
    pub check: Check,
    /// The `ARG`s before the first `FROM`.
    pub globals: Vec<Argument>,
    pub stages: Vec<StageText>,
    pub warnings: Vec<Warning>,
}

/// A stage as it is written.
#[derive(Clone, Debug)]
pub(super) struct StageText {
    /// The offset of `FROM`.
    pub at: usize,
    pub base: BaseLine,
    pub steps: Vec<StepText>,
}

/// An instruction with its text.
#[derive(Clone, Debug)]
pub(super) struct StepText {
    pub located: Located,
    pub text: String,
}

impl ParsedFile {
    pub fn parse(source: SourceText) -> Result<ParsedFile> {
        let mut file = ParsedFile {
            source,
            escape: '\\',
            check: Check::default(),
            globals: Vec::new(),
            stages: Vec::new(),
            warnings: Vec::new(),
        };
        match file.read() {
            Ok(()) => Ok(file),
            Err(fault) => Err(Error::Dockerfile(Box::new(file.source.remark(fault)))),
        }
    }

    fn read(&mut self) -> Parsed<()> {
        let lines = lines::read(&self.source.text)?;
        (self.escape, self.check) = (lines.directives.escape, lines.directives.check);
        for statement in &lines.statements {
            self.add(statement)?;
        }
        if self.stages.is_empty() {
            return Err(Fault::new(0, "the file has no stage").hint("begin one with `FROM IMAGE`"));
        }
        let names = self.stages.iter().filter_map(|stage| stage.base.name.as_ref());
        self.warnings.extend(warning::of_stage_names(names));
        Ok(())
    }

    fn add(&mut self, statement: &Statement) -> Parsed<()> {
        let located = parse::parse(statement, self.escape)?;
        self.warnings.extend(warning::of_statement(statement, &located));
        match (located.instruction, self.stages.last_mut()) {
            (Instruction::From(base), _) => {
                self.stages.push(StageText { at: located.at, base, steps: Vec::new() });
            }
            (Instruction::Arg(arguments), None) => self.globals.extend(arguments),
            (_, None) => {
                let fault = Fault::new(located.at, "only ARG may stand before the first FROM");
                return Err(fault.hint("begin the stage with `FROM IMAGE`"));
            }
            (instruction, Some(stage)) => {
                let text = statement.line.text().trim().to_owned();
                stage.steps.push(StepText { located: Located { instruction, ..located }, text });
            }
        }
        Ok(())
    }

    /// The instruction that a step comes from; `at` is its offset.
    pub fn origin(&self, at: usize, text: &str) -> Origin {
        let (line, column) = self.source.place(at);
        Origin { file: self.source.name.clone(), line, column, text: text.to_owned() }
    }
}
