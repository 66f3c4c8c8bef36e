//! The mode argument of `chmod` and of `mkdir -m`, as GNU coreutils interpret it.
//!
//! <https://www.gnu.org/software/coreutils/manual/html_node/File-permissions.html>

use super::files::UMASK;

/// All bits that a mode has.
const ALL: u32 = 0o7777;

/// A mode argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mode(Vec<Change>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    operator: u8,
    /// The bits of the classes; 0 if no class is named, and the umask decides.
    affected: u32,
    /// The bits that the argument mentions. Set-id bits of a directory change only if they are mentioned.
    mentioned: u32,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Bits(u32),
    /// With execute permission for directories and for files that have any (`X`).
    BitsAndX(u32),
    /// The permissions that this class has now.
    Copied(u32),
}

impl Mode {
    /// `None` for text that is not a mode.
    pub fn parse(text: &str) -> Option<Mode> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= ALL)?;
            // Five digits or more change the set-id bits of a directory, too.
            let mentioned = if text.len() > 4 { ALL } else { bits & 0o6000 | 0o1777 };
            let value = Value::Bits(bits);
            return Some(Mode(vec![Change { operator: b'=', affected: ALL, mentioned, value }]));
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            let operators = clause.find(['+', '-', '='])?;
            let (classes, mut rest) = clause.split_at(operators);
            let mut affected = 0;
            for class in classes.bytes() {
                affected |= match class {
                    b'u' => 0o4700,
                    b'g' => 0o2070,
                    b'o' => 0o1007,
                    b'a' => ALL,
                    _ => return None,
                };
            }
            while let Some(operator) = rest.bytes().next() {
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
                changes.push(Change::parse(operator, affected, &rest[1..end])?);
                rest = &rest[end..];
            }
        }
        Some(Mode(changes))
    }

    /// The mode of a file that had the mode `old`.
    pub fn of(&self, old: u32, is_directory: bool) -> u32 {
        self.0.iter().fold(old, |mode, change| change.apply(mode, is_directory, is_directory))
    }

    /// The same with the chmod of busybox, for which the set-id bits of a directory are bits as others.
    pub fn of_busybox(&self, old: u32, is_directory: bool) -> u32 {
        self.0.iter().fold(old, |mode, change| change.apply(mode, is_directory, false))
    }
}

impl Change {
    fn parse(operator: u8, affected: u32, permissions: &str) -> Option<Change> {
        let digits = permissions.starts_with(|first: char| first.is_ascii_digit());
        if digits {
            // As in `=755`.
            let bits =
                u32::from_str_radix(permissions, 8).ok().filter(|mode| *mode <= ALL && affected == 0)?;
            return Some(Change { operator, affected: ALL, mentioned: ALL, value: Value::Bits(bits) });
        }
        let class = match permissions {
            "u" => Some(0o700),
            "g" => Some(0o070),
            "o" => Some(0o007),
            _ => None,
        };
        if let Some(class) = class {
            let mentioned = if affected == 0 { 0o777 } else { affected & 0o777 };
            return Some(Change { operator, affected, mentioned, value: Value::Copied(class) });
        }
        let (mut bits, mut some_x) = (0, false);
        for permission in permissions.bytes() {
            bits |= match permission {
                b'r' => 0o444,
                b'w' => 0o222,
                b'x' => 0o111,
                b's' => 0o6000,
                b't' => 0o1000,
                b'X' => {
                    some_x = true;
                    0
                }
                _ => return None,
            };
        }
        let mentioned = if affected == 0 { bits } else { affected & bits };
        let value = if some_x { Value::BitsAndX(bits) } else { Value::Bits(bits) };
        Some(Change { operator, affected, mentioned, value })
    }

    fn apply(&self, mode: u32, is_directory: bool, keeps_set_id: bool) -> u32 {
        let omitted = if keeps_set_id { 0o6000 & !self.mentioned } else { 0 };
        let value = match self.value {
            Value::Bits(bits) => bits,
            Value::BitsAndX(bits) if is_directory || mode & 0o111 != 0 => bits | 0o111,
            Value::BitsAndX(bits) => bits,
            Value::Copied(class) => {
                let has = |bits: u32| if mode & class & bits != 0 { bits } else { 0 };
                has(0o444) | has(0o222) | has(0o111)
            }
        };
        let allowed = if self.affected == 0 { !UMASK } else { self.affected };
        let value = value & allowed & !omitted & ALL;
        match self.operator {
            b'+' => mode | value,
            b'-' => mode & !value,
            _ => {
                let preserved = if self.affected == 0 { omitted } else { !self.affected | omitted };
                mode & preserved | value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_with_coreutils() {
        for (text, old, is_directory, new) in [
            ("755", 0o644, false, 0o755),
            ("0600", 0o4755, false, 0o600),
            ("755", 0o2700, true, 0o2755),
            ("00755", 0o2700, true, 0o755),
            ("4755", 0o700, true, 0o4755),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("a+w", 0o444, false, 0o666),
            ("-x", 0o755, false, 0o644),
            ("u=rw,go=r", 0o777, false, 0o644),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("go=u", 0o750, false, 0o777),
            ("g=o", 0o751, false, 0o711),
            ("o-rwx", 0o777, false, 0o770),
            ("u+s", 0o755, false, 0o4755),
            ("+t", 0o777, true, 0o1777),
            ("g+s", 0o755, true, 0o2755),
            ("u=rwx", 0o4755, true, 0o4755),
            ("u=rwx", 0o4755, false, 0o755),
            ("u+r-w", 0o200, false, 0o400),
            ("=r", 0o777, false, 0o444),
            ("ug+rw,o=", 0o004, false, 0o660),
        ] {
            assert_eq!(Mode::parse(text).unwrap().of(old, is_directory), new, "{text} of {old:o}");
        }
        for text in ["", "8", "10000", "u", "x+r", "u+q", "u=ur", "755,u"] {
            assert_eq!(Mode::parse(text), None, "{text}");
        }
    }
}
