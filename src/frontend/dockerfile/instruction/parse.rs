//! From a statement to an instruction.

use super::arguments::{arguments, pairs};
use super::copy::copy;
use super::health::healthcheck;
use super::run::run;
use super::types::{BaseLine, CommandLine, Instruction, Located};
use super::unparsed::Unparsed;
use crate::frontend::dockerfile::syntax::flags::Takes;
use crate::frontend::dockerfile::syntax::heredoc::Heredoc;
use crate::frontend::dockerfile::syntax::lines::Statement;
use crate::frontend::dockerfile::syntax::split;
use crate::frontend::dockerfile::syntax::text::{Slice, Word};
use crate::frontend::fault::{Fault, Parsed, did_you_mean};

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Parses a statement.
pub(in crate::frontend) fn parse(statement: &Statement, escape: char) -> Parsed<Located> {
    instruction(statement.line.all(), &statement.heredocs, escape)
}

fn instruction(line: Slice<'_>, heredocs: &[Heredoc], escape: char) -> Parsed<Located> {
    let (word, rest) = split::keyword(line);
    let keyword = word.text.to_ascii_uppercase();
    let Some(keyword) = KEYWORDS.into_iter().find(|known| *known == keyword) else {
        return Err(unknown(word));
    };
    let (flags, rest) = split::flags(rest, escape);
    let at = word.at(0);
    let unparsed = Unparsed { at, keyword, flags, rest, heredocs, escape };
    Ok(Located { at, instruction: unparsed.parse()? })
}

fn unknown(word: Slice<'_>) -> Fault {
    let fault = Fault::new(word.at(0), format!("unknown instruction `{}`", word.text));
    let is_name = word.text.chars().all(|c| c.is_ascii_alphabetic());
    let hint = did_you_mean(word.text, KEYWORDS).unwrap_or_else(|| match is_name {
        true => format!("the instructions are {}", KEYWORDS.join(", ")),
        false => r"a line that continues the one before needs a `\` at the end of that one".to_owned(),
    });
    fault.hint(hint)
}

impl Unparsed<'_> {
    fn parse(&self) -> Parsed<Instruction> {
        Ok(match self.keyword {
            "FROM" => Instruction::From(self.from()?),
            "ARG" => Instruction::Arg(arguments(self)?),
            "ENV" => Instruction::Env(pairs(self)?),
            "LABEL" => Instruction::Label(pairs(self)?),
            "ADD" | "COPY" => Instruction::Copy(Box::new(copy(self)?)),
            "RUN" => Instruction::Run(run(self)?),
            "CMD" => Instruction::Cmd(self.command_line()?),
            "ENTRYPOINT" => Instruction::Entrypoint(self.command_line()?),
            "SHELL" => Instruction::Shell(self.shell()?),
            "WORKDIR" => Instruction::Workdir(self.one()?),
            "USER" => Instruction::User(self.one()?),
            "EXPOSE" => Instruction::Expose(self.several()?),
            "VOLUME" => Instruction::Volume(self.volumes()?),
            "STOPSIGNAL" => Instruction::StopSignal(self.one()?),
            "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(self)?),
            "MAINTAINER" => Instruction::Maintainer(self.one()?.text),
            _ => Instruction::Onbuild(self.trigger()?),
        })
    }

    /// The rest of the line as one argument.
    fn one(&self) -> Parsed<Word> {
        self.flags(&[])?;
        match self.rest.text {
            "" => Err(self.fault(format!("{} requires an argument", self.keyword))),
            _ => Ok(self.rest.word()),
        }
    }

    fn several(&self) -> Parsed<Vec<Word>> {
        self.flags(&[])?;
        let words = split::blank_separated(self.rest);
        if words.is_empty() {
            Err(self.fault(format!("{} requires an argument", self.keyword)))
        } else {
            Ok(words)
        }
    }

    fn volumes(&self) -> Parsed<Vec<Word>> {
        self.flags(&[])?;
        let words = self.list()?;
        let empty = words.iter().any(|word| word.text.trim().is_empty());
        match words.is_empty() || empty {
            true => Err(self.fault("VOLUME requires a path, which is not empty")),
            false => Ok(words),
        }
    }

    fn command_line(&self) -> Parsed<CommandLine> {
        self.flags(&[])?;
        match self.json()? {
            Some(words) => Ok(CommandLine::Exec(words)),
            None if self.rest.text.is_empty() => Err(self
                .fault(format!("{} requires a command", self.keyword))
                .hint(format!("write `{} []` to remove the base's", self.keyword))),
            None => Ok(CommandLine::Shell(self.rest.text.to_owned())),
        }
    }

    fn shell(&self) -> Parsed<Vec<String>> {
        self.flags(&[])?;
        let hint = r#"for example SHELL ["/bin/bash", "-c"]"#;
        match self.json()? {
            Some(words) if !words.is_empty() => Ok(words),
            _ => Err(self.fault("SHELL requires a JSON array with a program and its arguments").hint(hint)),
        }
    }

    fn from(&self) -> Parsed<BaseLine> {
        let flags = self.flags(&[("platform", Takes::Value)])?;
        let mut words = split::blank_separated(self.rest).into_iter();
        let (image, connector, name, more) = (words.next(), words.next(), words.next(), words.next());
        let name = match (&connector, name, more) {
            (None, ..) => None,
            (Some(connector), Some(name), None) if connector.text.eq_ignore_ascii_case("as") => {
                Some(stage_name(name)?)
            }
            (Some(word), ..) => {
                return Err(Fault::new(word.at, "FROM takes one image, and perhaps `AS` and a name")
                    .hint("for example FROM public.ecr.aws/lambda/python:3.13 AS build"));
            }
        };
        let image = image.ok_or_else(|| self.fault("FROM requires an image"))?;
        Ok(BaseLine { image, platform: flags.value("platform").cloned(), name })
    }

    fn trigger(&self) -> Parsed<String> {
        self.flags(&[])?;
        if self.rest.text.is_empty() {
            return Err(self.fault("ONBUILD requires an instruction"));
        }
        let (keyword, _) = split::keyword(self.rest);
        let upper = keyword.text.to_ascii_uppercase();
        if matches!(&*upper, "ONBUILD" | "FROM" | "MAINTAINER") {
            return Err(Fault::new(keyword.at(0), format!("{upper} is not allowed after ONBUILD")));
        }
        instruction(self.rest, self.heredocs, self.escape)?;
        let bodies = self.heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.body, heredoc.name));
        Ok(self.rest.text.to_owned() + &bodies.collect::<String>())
    }
}

/// `[a-z][a-z0-9-_.]*`, in any case.
fn stage_name(word: Word) -> Parsed<Word> {
    let name = word.text.to_ascii_lowercase();
    let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
    match valid {
        true => Ok(Word { text: name, ..word }),
        false => Err(Fault::new(word.at, format!("invalid stage name `{}`", word.text))
            .hint("a name begins with a letter and has letters, digits, `-`, `_` and `.`")),
    }
}
