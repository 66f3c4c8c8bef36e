//! The mode of a file, as chmod takes it.

use super::super::refusal::Attempt;
use super::super::shell::expand::Field;

/// The text of a mode, octal or symbolic.
pub fn mode(field: &Field) -> Attempt<String> {
    let text = field.plain()?;
    match is_octal(text) || text.split(',').all(is_clause) {
        true => Ok(text.to_owned()),
        false => Err(field.refuse("is not a mode that is translated")),
    }
}

/// The mode of a new directory, which sets all bits: octal, or with `=` only.
pub fn of_directory(field: &Field) -> Attempt<String> {
    let text = mode(field)?;
    match text.contains(['+', '-']) {
        true => Err(field.refuse("is a mode that depends on the one before")),
        false => Ok(text),
    }
}

fn is_octal(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

/// `[ugoa…][+-=][rwxXst…]`, or the class whose bits are taken.
fn is_clause(text: &str) -> bool {
    let actions = text.trim_start_matches(['u', 'g', 'o', 'a']);
    let mut chars = actions.chars();
    let operator = chars.next().is_some_and(|c| matches!(c, '+' | '-' | '='));
    let bits = chars.as_str();
    let is_class = matches!(bits, "u" | "g" | "o");
    // Without a class, `-w` is an error of chmod if the umask would leave a bit that it removes.
    let is_plain =
        !(actions.len() == text.len() && actions.starts_with('-') && bits.contains(['w', 's', 't']));
    operator && is_plain && (is_class || bits.chars().all(|c| matches!(c, 'r' | 'w' | 'x' | 'X' | 's' | 't')))
}
