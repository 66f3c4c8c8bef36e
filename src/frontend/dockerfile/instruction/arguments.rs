//! `ENV`, `LABEL` and `ARG`: names and values.

use super::types::{Argument, Pair};
use super::unparsed::Unparsed;
use crate::frontend::dockerfile::syntax::split;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed};

/// `NAME=VALUE …`, or the old form `NAME VALUE`, in which the value is the rest of the line.
pub(super) fn pairs(unparsed: &Unparsed<'_>) -> Parsed<Vec<Pair>> {
    let keyword = unparsed.keyword;
    unparsed.flags(&[])?;
    let words = split::quoted_words(unparsed.rest, unparsed.escape);
    let Some(first) = words.first() else {
        return Err(unparsed.fault(format!("{keyword} requires an argument")));
    };
    if !first.text.contains('=') {
        let Some((key, value)) = split::first_blank(unparsed.rest) else {
            let fault = Fault::new(first.at, format!("{keyword} requires a value for `{}`", first.text));
            return Err(fault.hint(format!("write {keyword} {}=VALUE", first.text)));
        };
        return Ok(vec![Pair { key: key.word(), value: value.word(), old_form: true }]);
    }
    let pair = |word: &Word| match split_pair(word) {
        Some((key, _)) if key.text.is_empty() => {
            Err(Fault::new(word.at, format!("{keyword} has a blank name")))
        }
        Some((key, value)) => Ok(Pair { key, value, old_form: false }),
        None => {
            let fault = Fault::new(word.at, format!("`{}` is not of the form NAME=VALUE", word.text));
            Err(fault.hint("quote a value that has blanks; a comment needs a line of its own"))
        }
    };
    words.iter().map(pair).collect()
}

/// `NAME` or `NAME=DEFAULT`, several times.
pub(super) fn arguments(unparsed: &Unparsed<'_>) -> Parsed<Vec<Argument>> {
    unparsed.flags(&[])?;
    let words = split::quoted_words(unparsed.rest, unparsed.escape);
    if words.is_empty() {
        return Err(unparsed.fault("ARG requires a name"));
    }
    let argument = |word: &Word| match split_pair(word) {
        Some((name, _)) if name.text.is_empty() => Err(Fault::new(word.at, "ARG has a blank name")),
        Some((name, default)) => Ok(Argument { name, default: Some(default) }),
        None => Ok(Argument { name: word.clone(), default: None }),
    };
    words.iter().map(argument).collect()
}

fn split_pair(word: &Word) -> Option<(Word, Word)> {
    let (key, value) = word.text.split_once('=')?;
    let value = Word { text: value.to_owned(), at: word.at + key.len() + 1 };
    Some((Word { text: key.to_owned(), at: word.at }, value))
}
