//! Fields as a shell reads them back.

use super::expand::Field;

/// The field as a word of the shell: quoted where it must be.
pub fn quoted(field: &Field) -> String {
    match &field.pattern {
        None => text(&field.text),
        Some(pattern) => pattern_word(pattern),
    }
}

/// A text as a word of the shell.
pub fn text(text: &str) -> String {
    match text {
        "{}" => text.to_owned(),
        text => value(text),
    }
}

/// A text as a part of a word, after `NAME=`. There, some shells read braces in another way.
pub fn value(text: &str) -> String {
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c)
}

fn pattern_word(pattern: &str) -> String {
    let mut word = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend([c].into_iter().chain(chars.next())),
            // `^` is special in brackets only, where it is not translated.
            '*' | '?' | '[' | ']' | '!' | '^' => word.push(c),
            '\n' => word.push_str("'\n'"),
            c if is_plain(c) => word.push(c),
            c => word.extend(['\\', c]),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_quoted_in_a_value_only() {
        // found by fuzzing: `E={}` was read back as another command
        assert_eq!((text("{}"), value("{}")), ("{}".to_owned(), "'{}'".to_owned()));
        assert_eq!(
            (text("a b"), value("it's"), value("")),
            ("'a b'".to_owned(), r"'it'\''s'".to_owned(), "''".to_owned())
        );
    }
}
