//! Removes the logins in arguments from messages that repeat them: a password may contain spaces, and only the argument
//! shows where it ends.

use std::borrow::Cow;

use lbuild::error::text::{without_login, without_logins};

/// The text without logins.
pub fn hidden(text: &str) -> String {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    hidden_of(&words, text)
}

fn hidden_of(words: &[String], text: &str) -> String {
    let values = words.iter().filter_map(|word| word.split_once('=')).map(|(_, value)| value);
    let names = values.chain(words.iter().map(String::as_str));
    let text = names.fold(Cow::Borrowed(text), |text, name| match without_login(name) {
        Cow::Owned(shown) if shown != name && text.contains(name) => text.replace(name, &shown).into(),
        _ => text,
    });
    without_logins(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_with_spaces_is_not_shown() {
        let name = "u:my two pw@h/r".to_owned();
        for words in [name.clone(), format!("--to={name}")] {
            assert_eq!(
                hidden_of(&[words], &format!("cannot read {name}: it is missing")),
                "cannot read …@h/r: it is missing"
            );
        }
        assert_eq!(hidden_of(&["a@b".to_owned()], "cannot read a@b"), "cannot read a@b");
    }
}
