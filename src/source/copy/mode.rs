//! `--chmod`: an octal mode, or changes as of chmod.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/chmod.html>

/// The value of `--chmod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Octal(u32),
    Symbolic(Vec<Change>),
}

/// The mode of a context's file, which must not depend on a umask: 0755 if anybody may execute it, else 0644. Also
/// returns whether that allows or forbids more than a umask does.
pub(super) fn of_context(on_disk: u32) -> (u32, bool) {
    let mode = if on_disk & 0o111 == 0 { 0o644 } else { 0o755 };
    (mode, on_disk & 0o7000 != 0 || on_disk & 0o004 == 0)
}

/// One operation: for these classes, add, remove or set these permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// `u`, `g` and `o`; empty means all.
    classes: Vec<u8>,
    operator: u8,
    permissions: Vec<u8>,
}

impl Mode {
    /// `None` for text that is not a mode.
    pub fn parse(text: &str) -> Option<Mode> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(Mode::Octal);
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            let operators = clause.find(['+', '-', '='])?;
            let (classes, mut rest) = clause.split_at(operators);
            let classes: Vec<u8> = match classes {
                "" | "a" => Vec::new(),
                classes if classes.contains('a') => Vec::new(),
                classes => classes.bytes().collect(),
            };
            while let Some(operator) = rest.bytes().next() {
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
                let permissions = rest[1..end].bytes().collect();
                changes.push(Change { classes: classes.clone(), operator, permissions });
                rest = &rest[end..];
            }
        }
        Some(Mode::Symbolic(changes))
    }

    /// The mode of an entry that had the mode `old`.
    pub fn of(&self, old: u32, is_directory: bool) -> u32 {
        match self {
            Mode::Octal(mode) => *mode,
            Mode::Symbolic(changes) => {
                changes.iter().fold(old, |mode, change| change.apply(mode, is_directory))
            }
        }
    }

    /// The mode of a directory that has to be made, if it is not the usual one.
    pub fn of_made_directories(&self) -> Option<u32> {
        match self {
            Mode::Octal(mode) => Some(*mode),
            Mode::Symbolic(_) => None,
        }
    }
}

impl Change {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let all: &[u8] = if self.classes.is_empty() { b"ugo" } else { &self.classes };
        let (mut mask, mut bits) = (0, 0);
        for class in all {
            let (shift, special) = match class {
                b'u' => (6, 0o4000),
                b'g' => (3, 0o2000),
                _ => (0, 0o1000),
            };
            mask |= 0o7 << shift | special;
            for permission in &self.permissions {
                bits |= match permission {
                    b'r' => 0o4 << shift,
                    b'w' => 0o2 << shift,
                    b'x' => 0o1 << shift,
                    b'X' if is_directory || mode & 0o111 != 0 => 0o1 << shift,
                    b's' if shift > 0 => special,
                    b't' if shift == 0 => special,
                    b'u' => (mode >> 6 & 0o7) << shift,
                    b'g' => (mode >> 3 & 0o7) << shift,
                    b'o' => (mode & 0o7) << shift,
                    _ => 0,
                };
            }
        }
        match self.operator {
            b'+' => mode | bits,
            b'-' => mode & !bits,
            _ => mode & !mask | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_apply_as_with_chmod() {
        for (rule, text, old, is_directory, expected) in [
            (106, "640", 0o755, false, 0o640),
            (106, "0755", 0o600, true, 0o755),
            (106, "4711", 0o600, false, 0o4711),
            (106, "u=rwX,go=rX", 0o600, false, 0o644),
            (106, "u=rwX,go=rX", 0o700, false, 0o755),
            (106, "u=rwX,go=rX", 0o600, true, 0o755),
            (106, "go=u", 0o751, false, 0o777),
            (106, "a-w", 0o666, false, 0o444),
            (106, "+x", 0o644, false, 0o755),
            (106, "u+x-w", 0o644, false, 0o544),
            (106, "g=s,+t", 0o755, true, 0o3705),
            (106, "u+s", 0o755, false, 0o4755),
            (106, "=", 0o755, false, 0),
        ] {
            let mode = Mode::parse(text).unwrap();
            assert_eq!(mode.of(old, is_directory), expected, "rule {rule}: {text} of {old:o}");
        }
        for text in ["10000", "64a", "null"] {
            assert_eq!(Mode::parse(text), None, "rule 106: {text}");
        }
    }
}
