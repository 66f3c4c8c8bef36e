//! Tables of lines and what becomes of them. Every line that is translated is translated again from its texts.

mod accounts;
mod corpus;
mod files;
mod left;
mod lines;
mod locks;
mod mounts;
mod node;
mod pieces;
mod words;

use std::collections::HashMap;

use serde_json::Value;

use super::outcome::{Surroundings, translate};
use super::packages::ToolSettings;
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::recipe::{Command, Mount, Operation, Sharing, Translated, Translation, Untranslated};

struct Environment(HashMap<&'static str, &'static str>);

impl Variables for Environment {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).copied()
    }
}

const VARIABLES: [(&str, &str); 11] = [
    ("PATH", "/usr/bin:/bin"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("FUNCTION_DIR", "/function"),
    ("A", "one"),
    ("B", " two  words "),
    ("EMPTY", ""),
    ("GLOB", "*.py"),
    ("BACK", r"a\b"),
    ("QUOTE", "it's"),
    ("NEXT_CACHE_DIR", "/tmp/.next"),
    ("CONTROL", "a\u{1a}"),
];

type Translation1 = Result<Translation, (usize, Untranslated)>;

fn run(command: &Command, user: Option<&str>, mounts: &[Mount]) -> Translation1 {
    let environment = Environment(HashMap::from(VARIABLES));
    let settings = ToolSettings::default();
    let surroundings =
        Surroundings { environment: &environment, directory: "/work", user, mounts, settings: &settings };
    translate(command, &surroundings).translation
}

fn shell(text: &str) -> Command {
    Command::Shell { shell: vec!["/bin/sh".into(), "-c".into()], text: text.into() }
}

fn line(text: &str) -> Translation1 {
    run(&shell(text), None, &[])
}

/// The translation of a line, of which every command's text is translated again.
fn translated(text: &str) -> Translation {
    let translation = line(text).unwrap_or_else(|(at, refusal)| panic!("{text}: {at} {refusal:?}"));
    check_texts(text, &translation);
    translation
}

fn check_texts(line: &str, translation: &Translation) {
    for chain in &translation.chains {
        let mut rest = &chain[..];
        while let [first, ..] = rest {
            let environment = Environment(HashMap::new());
            let surroundings = Surroundings {
                environment: &environment,
                directory: &first.directory,
                user: None,
                mounts: &[],
                settings: &ToolSettings::default(),
            };
            let again = translate(&shell(&first.text), &surroundings).translation;
            let again = again.unwrap_or_else(|error| panic!("{line}: {}: {error:?}", first.text));
            let [again] = &*again.chains else { panic!("{line}: {}", first.text) };
            assert_eq!(again, &rest[..again.len()], "{line}: {}", first.text);
            rest = &rest[again.len()..];
        }
    }
}

fn commands(text: &str) -> Vec<Translated> {
    translated(text).chains.into_iter().flatten().collect()
}

fn operations(text: &str) -> Vec<Operation> {
    commands(text).into_iter().map(|command| command.operation).collect()
}

/// The operations as JSON.
fn json(text: &str) -> Value {
    serde_json::to_value(operations(text)).unwrap()
}

/// Why a line is not translated: the word at the offset, and the reason.
fn refusal(text: &str) -> (String, String) {
    match line(text) {
        Ok(translation) => panic!("{text}: {translation:?}"),
        Err((at, Untranslated { word, reason })) => {
            assert!(text[at..].starts_with(&word), "{text}: {at} {word}");
            assert!(!word.is_empty() || text.is_empty(), "{text}: {reason}");
            (word, reason)
        }
    }
}

fn cache(target: &str) -> Mount {
    Mount::Cache {
        target: target.into(),
        id: "cache".into(),
        sharing: Sharing::Shared,
        from: None,
        access: None,
        read_only: false,
    }
}
