//! The expansion of a word and the translation of a command for `tests/fuzz`; see [`crate::fuzzing`].

use std::collections::HashMap;

use super::syntax::shell::{Lexer, Variables};
use super::translate::ToolSettings;
use super::translate::outcome::{self, Surroundings};
use crate::recipe::{Command, Translation, Untranslated};

impl Variables for HashMap<&str, &str> {
    fn get(&self, name: &str) -> Option<&str> {
        HashMap::get(self, name).copied()
    }
}

/// The text and the words of a word after expansion.
pub fn expand(word: &str, variables: &HashMap<&str, &str>) -> Result<(String, Vec<String>), String> {
    let expanded = Lexer::new('\\').expand(word, variables)?;
    Ok((expanded.text, expanded.words))
}

/// The translation of a text for `/bin/sh`; or the word that stops it, and its offset.
pub fn translate(
    text: &str,
    directory: &str,
    variables: &HashMap<&str, &str>,
) -> Result<Translation, (usize, Untranslated)> {
    let command = Command::Shell { shell: vec!["/bin/sh".into(), "-c".into()], text: text.into() };
    let settings = ToolSettings::default();
    let surroundings =
        Surroundings { environment: variables, directory, user: None, mounts: &[], settings: &settings };
    outcome::translate(&command, &surroundings).translation
}
