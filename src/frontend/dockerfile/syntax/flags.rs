//! The flags of an instruction, by its table.

use super::text::Word;
use crate::frontend::fault::{Fault, Parsed, did_you_mean};

/// How often a flag may stand, and whether it has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::frontend) enum Takes {
    /// `--link`, `--link=true` or `--link=false`.
    Switch,
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    Values,
}

pub(in crate::frontend) type Table = [(&'static str, Takes)];

/// The flags of one instruction, checked against its table.
#[derive(Clone, Debug)]
pub(in crate::frontend) struct Flags(Vec<(&'static str, Word)>);

impl Flags {
    /// Checks the flags of the instruction `keyword`.
    pub fn check(keyword: &str, words: &[Word], table: &Table) -> Parsed<Flags> {
        let mut found: Vec<(&'static str, Word)> = Vec::new();
        for word in words {
            let (flag, value) = match word.text.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (&*word.text, None),
            };
            let Some((name, takes)) = table.iter().find(|(name, _)| flag.strip_prefix("--") == Some(name))
            else {
                return Err(unknown(keyword, flag, word.at, table));
            };
            if *takes != Takes::Values && found.iter().any(|(other, _)| other == name) {
                return Err(Fault::new(word.at, format!("`{flag}` is given twice")));
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true".to_owned(),
                (Takes::Switch, Some(value)) => match value.to_ascii_lowercase() {
                    value if value == "true" || value == "false" => value,
                    _ => {
                        let fault = format!("`{flag}` is true or false, not `{value}`");
                        return Err(Fault::new(word.at, fault));
                    }
                },
                (_, Some(value)) => value.to_owned(),
                (_, None) => {
                    let fault = Fault::new(word.at, format!("`{flag}` has no value"));
                    return Err(fault.hint(format!("write it as {flag}=VALUE, without a blank")));
                }
            };
            found.push((name, Word { text: value, at: word.at }));
        }
        Ok(Flags(found))
    }

    pub fn value(&self, name: &str) -> Option<&Word> {
        self.0.iter().find_map(|(flag, value)| (*flag == name).then_some(value))
    }

    pub fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Word> {
        self.0.iter().filter_map(move |(flag, value)| (*flag == name).then_some(value))
    }

    pub fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value.text == "true")
    }
}

fn unknown(keyword: &str, flag: &str, at: usize, table: &Table) -> Fault {
    let fault = Fault::new(at, format!("unknown flag `{flag}` of {keyword}"));
    let names: Vec<String> = table.iter().map(|(name, _)| format!("--{name}")).collect();
    let near = did_you_mean(flag, names.iter().map(String::as_str));
    fault.hint(near.unwrap_or_else(|| match names.is_empty() {
        true => format!("{keyword} has no flags; quote the word if it is an argument"),
        false => format!("the flags of {keyword} are {}", names.join(", ")),
    }))
}
