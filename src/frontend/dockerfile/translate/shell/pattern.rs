//! Patterns of files: those that every shell, `find` and any locale match alike.

type Checked = Result<(), &'static str>;

/// Checks a pattern for the files of a directory tree, in which a backslash quotes the next character.
pub fn check_path(pattern: &str) -> Checked {
    check_name(pattern)?;
    for component in pattern.split('/') {
        // Whether `.` and `..` are among the matches differs between shells.
        let hidden = component.strip_prefix("..").or(component.strip_prefix('.')).unwrap_or_default();
        if hidden.starts_with(['*', '?', '[']) && !hidden.starts_with("[!.]") && !hidden.starts_with("??") {
            return Err("may match `.` and `..`");
        }
    }
    match pattern {
        _ if pattern.ends_with('/') => Err("is a pattern with a slash at its end"),
        _ if pattern.starts_with('-') => Err("may match names that are options"),
        _ => Ok(()),
    }
}

/// Checks a pattern for one name, or for a text with slashes.
pub fn check_name(pattern: &str) -> Checked {
    let mut chars = pattern.chars();
    let mut before = None;
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' if before == Some('*') => return Err("has `**`, which shells match differently"),
            '[' => {
                let end = chars.as_str().find(']').ok_or("has a bracket that is not closed")?;
                bracket(&chars.as_str()[..end])?;
                chars = chars.as_str()[end + 1..].chars();
            }
            _ => {}
        }
        before = Some(c);
    }
    Ok(())
}

/// Checks what is between brackets. The order of letters in a range depends on the locale.
fn bracket(inside: &str) -> Checked {
    let set = inside.strip_prefix('!').unwrap_or(inside).as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let mut at = 0;
    while at < set.len() {
        let is_range = set.get(at + 1) == Some(&b'-') && at + 2 < set.len();
        match set[at] {
            from if is_range => {
                if !(from.is_ascii_digit() && set[at + 2].is_ascii_digit() && from <= set[at + 2]) {
                    return Err("has a range whose letters depend on the locale");
                }
                at += 3;
            }
            byte if is_plain(&byte) => at += 1,
            _ => return Err("has brackets with more than letters, digits, `_` and `.`"),
        }
    }
    if set.is_empty() { Err("has empty brackets") } else { Ok(()) }
}
