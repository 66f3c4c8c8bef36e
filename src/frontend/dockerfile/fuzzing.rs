//! The expansion of a word for `tests/fuzz`; see [`crate::fuzzing`].

use std::collections::HashMap;

use super::syntax::shell::{Lexer, Variables};

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
