//! Names and numbers of accounts.

use super::super::refusal::Attempt;
use super::super::shell::expand::Field;

/// The longest name that all programs accept.
const LONGEST: usize = 31;

/// A name that no program refuses, whatever its rules for names.
pub fn name(field: &Field) -> Attempt<String> {
    let text = field.plain()?;
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    match first && rest && text.len() <= LONGEST {
        true => Ok(text.to_owned()),
        false => Err(field.refuse("is not a plain name of an account")),
    }
}

/// The number of a user or a group.
pub fn number(field: &Field) -> Attempt<u32> {
    let text = field.plain()?;
    let is_decimal = text == "0" || !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_decimal && *number < u32::MAX);
    number.ok_or_else(|| field.refuse("is not the number of an account"))
}

/// A group, by name or number.
pub fn group(field: &Field) -> Attempt<String> {
    number(field).map(|number| number.to_string()).or_else(|_| name(field))
}

/// A text for a field of `/etc/passwd`.
pub fn passwd_field(field: &Field) -> Attempt<String> {
    let text = field.plain()?;
    match text.contains([':', '\n', ',', '&']) {
        false => Ok(text.to_owned()),
        true => Err(field.refuse("has a character that separates fields")),
    }
}

/// An absolute path for a field of `/etc/passwd`.
pub fn passwd_path(field: &Field) -> Attempt<String> {
    let text = passwd_field(field)?;
    match text.starts_with('/') && !text.split('/').any(|part| part == "..") {
        true => Ok(text),
        false => Err(field.refuse("is not an absolute path")),
    }
}
