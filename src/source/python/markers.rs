//! [Environment markers](https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers)
//! evaluated for the target, regardless of the machine that lbuild runs on.

use std::collections::BTreeSet;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier};

use super::target::Target;
use super::wheel::normalized;

/// Upper bound on the depth of parentheses, so that a lock cannot exhaust the stack.
const DEPTH: usize = 64;

/// The values of the marker variables for the target.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    minor: u32,
    /// The full version.
    python: String,
    machine: &'static str,
    /// The extras that are requested.
    pub(super) extras: BTreeSet<String>,
    /// The groups of `pylock.toml` that are requested.
    pub(super) groups: BTreeSet<String>,
}

impl Environment {
    pub(super) fn of(target: &Target) -> Environment {
        Environment {
            minor: target.minor,
            python: target.python(),
            machine: target.machine.as_str(),
            extras: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    /// Whether the target matches the marker. Fails for a marker that cannot be read.
    pub(super) fn matches(&self, marker: &str) -> Result<bool, String> {
        let fail = |fault: &str| format!("the marker `{marker}` cannot be read: {fault}");
        let mut parser =
            Parser { tokens: tokens(marker).map_err(fail)?, next: 0, depth: 0, environment: self };
        let found = parser.any().map_err(|fault| fail(&fault))?;
        match parser.peek() {
            None => Ok(found),
            Some(token) => Err(fail(&format!("`{}` is unexpected", token.text()))),
        }
    }

    /// Whether the target matches one of the markers that a lock declares as its environments. A lock without such
    /// markers covers every environment.
    pub(super) fn is_among(&self, markers: &[String]) -> Result<bool, String> {
        let mut found = markers.is_empty();
        for marker in markers {
            found |= self.matches(marker)?;
        }
        Ok(found)
    }

    /// Whether the target's Python version matches a version specifier, such as `>=3.9`.
    pub(super) fn takes_python(&self, specifier: &str) -> Result<bool, String> {
        let specifiers = pep440_rs::VersionSpecifiers::from_str(specifier);
        let specifiers =
            specifiers.map_err(|_| format!("`{specifier}` is not a specifier of Python versions"))?;
        let version = Version::from_str(&self.python).map_err(|error| error.to_string())?;
        Ok(specifiers.contains(&version))
    }

    /// All marker variables with their values.
    pub(super) fn values(&self) -> [(&'static str, String); 11] {
        let (version, full) = (format!("3.{}", self.minor), self.python.clone());
        [
            ("implementation_name", "cpython".to_owned()),
            ("implementation_version", full.clone()),
            ("os_name", "posix".to_owned()),
            ("platform_machine", self.machine.to_owned()),
            ("platform_python_implementation", "CPython".to_owned()),
            ("platform_release", String::new()),
            ("platform_system", "Linux".to_owned()),
            ("platform_version", String::new()),
            ("python_full_version", full),
            ("python_version", version),
            ("sys_platform", "linux".to_owned()),
        ]
    }

    fn value(&self, name: &str) -> Option<String> {
        // Old packages still use names from before PEP 508.
        let name = match name {
            "os.name" => "os_name",
            "sys.platform" => "sys_platform",
            "platform.machine" => "platform_machine",
            "platform.version" => "platform_version",
            "platform.python_implementation" | "python_implementation" => "platform_python_implementation",
            name => name,
        };
        self.values().into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum MarkerToken {
    Open,
    Close,
    Word(String),
    Text(String),
    Operator(String),
}

impl MarkerToken {
    fn text(&self) -> &str {
        match self {
            MarkerToken::Open => "(",
            MarkerToken::Close => ")",
            MarkerToken::Word(text) | MarkerToken::Text(text) | MarkerToken::Operator(text) => text,
        }
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<MarkerToken>, &'static str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let taken = match first {
            '(' | ')' => {
                found.push(if first == '(' { MarkerToken::Open } else { MarkerToken::Close });
                1
            }
            '"' | '\'' => {
                let end = rest[1..].find(first).ok_or("a quotation mark is not closed")?;
                found.push(MarkerToken::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = length(|c| matches!(c, '<' | '>' | '=' | '!' | '~'));
                found.push(MarkerToken::Operator(rest[..end].to_owned()));
                end
            }
            c if c.is_ascii_alphabetic() => {
                let end = length(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
                found.push(MarkerToken::Word(rest[..end].to_owned()));
                end
            }
            _ => return Err("it has a character that is not allowed"),
        };
        rest = rest[taken..].trim_start();
    }
    Ok(found)
}

/// One side of a comparison.
enum Side {
    Literal(String),
    Version(String),
    Value(String),
    Extra,
    Extras,
    Groups,
}

struct Parser<'a> {
    tokens: Vec<MarkerToken>,
    next: usize,
    depth: usize,
    environment: &'a Environment,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&MarkerToken> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<MarkerToken> {
        self.next += 1;
        self.tokens.get(self.next - 1).cloned()
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(MarkerToken::Word(text)) if text == word);
        self.next += usize::from(found);
        found
    }

    // Both sides are always parsed, even if the first decides the result.
    fn any(&mut self) -> Result<bool, String> {
        let mut found = self.all()?;
        while self.word("or") {
            found |= self.all()?;
        }
        Ok(found)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut found = self.one()?;
        while self.word("and") {
            found &= self.one()?;
        }
        Ok(found)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.peek() == Some(&MarkerToken::Open) {
            self.next += 1;
            self.depth += 1;
            if self.depth > DEPTH {
                return Err("its parentheses are nested too deeply".to_owned());
            }
            let found = self.any()?;
            self.depth -= 1;
            return match self.take() {
                Some(MarkerToken::Close) => Ok(found),
                _ => Err("a parenthesis is not closed".to_owned()),
            };
        }
        let left = self.side()?;
        let operator = match self.take() {
            Some(MarkerToken::Operator(operator)) => operator,
            Some(MarkerToken::Word(word)) if word == "in" => word,
            Some(MarkerToken::Word(word)) if word == "not" && self.word("in") => "not in".to_owned(),
            _ => return Err("an operator is missing".to_owned()),
        };
        let right = self.side()?;
        self.compare(&left, &operator, &right)
    }

    fn side(&mut self) -> Result<Side, String> {
        match self.take() {
            Some(MarkerToken::Text(text)) => Ok(Side::Literal(text)),
            Some(MarkerToken::Word(word)) => match word.as_str() {
                "extra" => Ok(Side::Extra),
                "extras" => Ok(Side::Extras),
                "dependency_groups" => Ok(Side::Groups),
                name => {
                    let value = self.environment.value(name).ok_or_else(|| format!("`{name}` is unknown"))?;
                    let version = name.starts_with("python_") || name == "implementation_version";
                    Ok(if version && name != "python_implementation" {
                        Side::Version(value)
                    } else {
                        Side::Value(value)
                    })
                }
            },
            _ => Err("a value is missing".to_owned()),
        }
    }

    fn compare(&self, left: &Side, operator: &str, right: &Side) -> Result<bool, String> {
        use Side::{Extra, Extras, Groups, Literal, Value, Version};
        let environment = self.environment;
        match (left, right) {
            (Extra, Literal(name)) | (Literal(name), Extra) => match operator {
                "==" => Ok(has(&environment.extras, name)),
                "!=" => Ok(!has(&environment.extras, name)),
                _ => Err(format!("`extra` cannot be compared by `{operator}`")),
            },
            (Literal(name), Extras | Groups) => {
                let set = if matches!(right, Extras) { &environment.extras } else { &environment.groups };
                match operator {
                    "in" => Ok(has(set, name)),
                    "not in" => Ok(!has(set, name)),
                    _ => Err(format!("a set cannot be compared by `{operator}`")),
                }
            }
            (Version(left), Version(right) | Value(right) | Literal(right))
            | (Value(left) | Literal(left), Version(right)) => compare_versions(left, operator, right)
                .map_or_else(|| compare_texts(left, operator, right), Ok),
            (Value(left) | Literal(left), Value(right) | Literal(right)) => {
                compare_texts(left, operator, right)
            }
            _ => Err("its sides cannot be compared".to_owned()),
        }
    }
}

fn has(set: &BTreeSet<String>, name: &str) -> bool {
    set.contains(&normalized(name))
}

/// Compares the texts as versions; `None` if one of them is not a version.
fn compare_versions(left: &str, operator: &str, right: &str) -> Option<bool> {
    let version = Version::from_str(left).ok()?;
    Some(VersionSpecifier::from_str(&format!("{operator}{right}")).ok()?.contains(&version))
}

fn compare_texts(left: &str, operator: &str, right: &str) -> Result<bool, String> {
    // Packages use `python_version in '2.7 3.5'` as a list, although the specification defines a substring test.
    let among = || right.split([' ', ',', '|']).any(|word| word == left);
    Ok(match operator {
        "==" | "===" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "in" => among() || (!right.contains([' ', ',', '|']) && right.contains(left)),
        "not in" => !(among() || (!right.contains([' ', ',', '|']) && right.contains(left))),
        _ => return Err(format!("`{operator}` is not an operator for strings")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::target::Machine;
    use super::*;

    fn environment() -> Environment {
        let mut environment = Environment::of(&Target::new(12, Machine::Aarch64, (2, 34)));
        environment.extras.insert("socks".to_owned());
        environment.groups.insert("default".to_owned());
        environment
    }

    #[test]
    fn markers_are_evaluated_for_the_target() {
        for (marker, matches) in [
            ("python_version >= '3.9'", true),
            ("python_version < '3.10'", false),
            ("python_full_version == '3.12.*'", true),
            ("python_full_version < '3.11.3'", false),
            ("python_full_version >= '3.12.4'", true),
            ("'3.8' <= python_version", true),
            ("python_version ~= '3.7'", true),
            ("python_version in '2.7 3.1'", false),
            ("python_version not in '2.7, 3.12'", false),
            ("sys_platform == 'linux' and platform_machine == 'aarch64'", true),
            ("platform_machine == 'x86_64' or platform_machine == 'arm64'", false),
            ("sys_platform != 'win32' and (os_name == 'nt' or implementation_name == 'cpython')", true),
            ("sys_platform == 'darwin' or sys_platform == 'win32' and python_version > '3'", false),
            ("'linux' in sys_platform", true),
            ("platform.machine == \"aarch64\"", true),
            ("platform_release >= '4.0'", false),
            ("extra == 'socks'", true),
            ("extra == 'brotli'", false),
            ("extra != 'brotli'", true),
            ("'SOCKS' in extras", true),
            ("'dev' in dependency_groups or 'default' not in dependency_groups", false),
        ] {
            assert_eq!(environment().matches(marker), Ok(matches), "{marker}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_marker_names_it() {
        for (marker, fault) in [
            ("", "a value is missing"),
            ("python_version", "an operator is missing"),
            ("python_version >= ", "a value is missing"),
            ("colour == 'red'", "`colour` is unknown"),
            ("(os_name == 'nt'", "a parenthesis is not closed"),
            ("os_name == 'nt", "a quotation mark is not closed"),
            ("os_name == 'nt' 'x'", "`x` is unexpected"),
            ("os_name ~= 'nt'", "`~=` is not an operator for strings"),
            ("extra > 'a'", "`extra` cannot be compared by `>`"),
        ] {
            let error = environment().matches(marker).unwrap_err();
            assert!(error.ends_with(fault), "{marker}: {error}");
        }
    }

    #[test]
    fn the_depth_of_parentheses_is_limited() {
        let marker = |depth| format!("{}os_name == 'posix'{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(environment().matches(&marker(DEPTH)), Ok(true));
        assert_eq!(
            environment().matches(&vec![marker(DEPTH); 3].join(" and ")),
            Ok(true),
            "one after the other"
        );
        for depth in [DEPTH + 1, 1_000_000] {
            let error = environment().matches(&marker(depth)).unwrap_err();
            assert!(error.ends_with("its parentheses are nested too deeply"));
        }
    }

    #[test]
    fn a_specifier_is_compared_with_the_targets_version() {
        for (specifier, taken) in [
            (">=3.9", true),
            (">=3.12.4", true),
            ("<3.12.1", false),
            (">=3.9,<3.12", false),
            ("~=3.8", true),
            ("==3.12.*", true),
            (">=3.13", false),
        ] {
            assert_eq!(environment().takes_python(specifier), Ok(taken), "{specifier}");
        }
        assert!(environment().takes_python("three").is_err());
    }
}
