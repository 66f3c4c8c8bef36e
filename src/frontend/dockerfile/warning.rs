//! Warnings: mistakes that a builder accepts in silence.

use std::collections::HashSet;

use super::instruction::types::{Instruction, Located};
use super::syntax::directives::Check;
use super::syntax::lines::Statement;
use super::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed};

/// The most warnings that are reported.
const MOST: usize = 1000;

/// A warning and its rule, which `# check=skip=RULE` names. Rules that BuildKit has too have its names.
#[derive(Clone, Debug)]
pub(super) struct Warning {
    pub rule: &'static str,
    pub fault: Fault,
}

/// The warnings of one lowering.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    check: Check,
    found: Vec<Warning>,
}

impl Warnings {
    pub fn new(check: &Check) -> Warnings {
        Warnings { check: check.clone(), found: Vec::new() }
    }

    pub fn push(&mut self, rule: &'static str, fault: Fault) {
        self.extend([Warning { rule, fault }]);
    }

    pub fn extend(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        for warning in warnings {
            let skipped = self.check.skip_all || self.check.skip.contains(&warning.rule.to_ascii_lowercase());
            if !skipped && !self.is_full() {
                self.found.push(warning);
            }
        }
    }

    pub fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// The warnings in the order of the text; the first is an error if the file says so.
    pub fn finish(mut self) -> Parsed<Vec<Fault>> {
        self.found.sort_by_key(|warning| warning.fault.at);
        let faults = self
            .found
            .into_iter()
            .map(|Warning { rule, fault }| Fault { message: format!("{} ({rule})", fault.message), ..fault });
        let mut faults: Vec<Fault> = faults.collect();
        faults.dedup();
        match faults.first() {
            Some(first) if self.check.error => Err(first.clone()),
            _ => Ok(faults),
        }
    }
}

/// Warnings about one statement by itself.
pub(super) fn of_statement(statement: &Statement, located: &Located) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some(at) = statement.blank_line {
        let fault = Fault::new(at, "a blank line inside an instruction is dropped");
        let fault = fault.hint("remove the line; a later BuildKit refuses it");
        found.push(Warning { rule: "NoEmptyContinuation", fault });
    }
    found.extend(names(&located.instruction).filter(|name| is_secret(&name.text)).map(secret));
    match &located.instruction {
        Instruction::Maintainer(_) => {
            let fault = Fault::new(located.at, "MAINTAINER is deprecated");
            let fault = fault.hint("write LABEL org.opencontainers.image.authors=\"…\"");
            found.push(Warning { rule: "MaintainerDeprecated", fault });
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) if pairs.iter().any(|pair| pair.old_form) => {
            let fault = Fault::new(located.at, "the form NAME VALUE takes the rest of the line as the value");
            let fault = fault.hint("write NAME=VALUE");
            found.push(Warning { rule: "LegacyKeyValueFormat", fault });
        }
        Instruction::From(base) => {
            if let Some(name) =
                base.name.as_ref().filter(|name| ["scratch", "context"].contains(&&*name.text))
            {
                let fault = Fault::new(name.at, format!("`{}` is a reserved name", name.text));
                found.push(Warning {
                    rule: "ReservedStageName",
                    fault: fault.hint("name the stage otherwise"),
                });
            }
        }
        _ => {}
    }
    if names(&located.instruction).any(|name| is_secret(&name.text)) {
        found.iter_mut().for_each(|warning| warning.fault.is_secret = true);
    }
    found
}

/// The names that an instruction sets for the commands after it.
fn names(instruction: &Instruction) -> impl Iterator<Item = &Word> {
    let (arguments, pairs) = match instruction {
        Instruction::Arg(arguments) => (&arguments[..], &[][..]),
        Instruction::Env(pairs) => (&[][..], &pairs[..]),
        _ => (&[][..], &[][..]),
    };
    arguments.iter().map(|argument| &argument.name).chain(pairs.iter().map(|pair| &pair.key))
}

/// Whether a variable of this name holds a secret, as BuildKit judges: one of these words is a part of it.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    name.split('_').any(|part| WORDS.contains(&part)) && !name.split('_').any(|part| part == "public")
}

fn secret(name: &Word) -> Warning {
    let fault = Fault::new(name.at, format!("the value of {} is in the image or its history", name.text));
    let hint = match name.text.starts_with("AWS_") {
        true => {
            "no image needs AWS credentials: --layer ARN adds a Lambda layer, and RUN --mount=type=secret gives a command \
             what it needs"
        }
        false => "RUN --mount=type=secret gives it to a command only",
    };
    Warning { rule: "SecretsUsedInArgOrEnv", fault: fault.hint(hint) }
}

/// Warnings about stages that hide each other.
pub(super) fn of_stage_names<'n>(names: impl Iterator<Item = &'n Word>) -> Vec<Warning> {
    let mut seen = HashSet::new();
    let repeated = names.filter(|name| !seen.insert(&*name.text)).map(|name| {
        let fault = Fault::new(name.at, format!("a stage above is named `{}` too", name.text));
        let hint = "FROM takes the last of that name above it, COPY --from the last in the file";
        Warning { rule: "DuplicateStageName", fault: fault.hint(hint) }
    });
    repeated.collect()
}
