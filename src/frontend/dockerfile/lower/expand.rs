//! Expansion of the words of instructions.

use super::scope::Scope;
use crate::frontend::dockerfile::syntax::shell::{Expanded, Lexer, Variables};
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::dockerfile::warning::Warnings;
use crate::frontend::fault::{Fault, Parsed, did_you_mean};

/// The most bytes that a file may read and write in variables and copies of them, so that its time stays linear: values
/// that repeat each other grow exponentially.
const MOST: usize = 32 << 20;

/// The most variables that are not set for which a similar name is searched, which takes as long as there are names.
const MOST_SEARCHES: usize = 20;

/// Expands words, and warns of variables that are not set.
pub(super) struct Expander<'w> {
    pub lexer: Lexer,
    pub warnings: &'w mut Warnings,
    spent: usize,
    /// How many variables were not set.
    unset: usize,
}

impl<'w> Expander<'w> {
    pub fn new(escape: char, warnings: &'w mut Warnings) -> Expander<'w> {
        Expander { lexer: Lexer::new(escape), warnings, spent: 0, unset: 0 }
    }

    pub fn word(&mut self, word: &Word, scope: &Scope) -> Parsed<String> {
        Ok(self.expand(self.lexer, word, scope)?.text)
    }

    pub fn words(&mut self, word: &Word, scope: &Scope) -> Parsed<Vec<String>> {
        Ok(self.expand(self.lexer, word, scope)?.words)
    }

    /// The body of a here-document, in which quotes are text and the escape character is always `\`.
    pub fn body(&mut self, body: &str, at: usize, scope: &Scope) -> Parsed<String> {
        let lexer = Lexer { quotes_are_text: true, ..Lexer::new('\\') };
        Ok(self.expand(lexer, &Word { text: body.to_owned(), at }, scope)?.text)
    }

    /// Counts bytes that are copied for the instruction at `at`.
    pub fn spend(&mut self, at: usize, bytes: usize) -> Parsed<()> {
        self.spent += bytes;
        match self.spent > MOST {
            true => Err(Fault::new(
                at,
                format!("the variables of the file together take more than {} MiB", MOST >> 20),
            )),
            false => Ok(()),
        }
    }

    fn expand(&mut self, lexer: Lexer, word: &Word, scope: &Scope) -> Parsed<Expanded> {
        let expanded = plain(&lexer, word, scope)?;
        self.spend(word.at, expanded.text.len() + expanded.read)?;
        for name in expanded.unset.iter().filter(|name| is_name(name) && !scope.is_declared(name)) {
            if self.warnings.is_full() {
                break;
            }
            let fault = Fault::new(word.at, format!("the variable `{name}` is not set"));
            self.unset += 1;
            let near = if self.unset <= MOST_SEARCHES { did_you_mean(name, scope.names()) } else { None };
            let hint = near.unwrap_or_else(|| format!("declare it in this stage: ARG {name}"));
            self.warnings.push("UndefinedVar", fault.hint(hint));
        }
        Ok(expanded)
    }
}

/// A special parameter such as `$1` is never set, and nobody expects it to be.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The expansion alone.
pub(super) fn plain(lexer: &Lexer, word: &Word, variables: &dyn Variables) -> Parsed<Expanded> {
    lexer.expand(&word.text, variables).map_err(|message| Fault::new(word.at, message))
}
