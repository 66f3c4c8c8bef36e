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
    let is_safe = !text.is_empty() && text.chars().all(is_plain);
    match is_safe || text == "{}" {
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
