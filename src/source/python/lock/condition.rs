//! Markers as text: when a package is needed, as a combination of the markers on the ways to it.
//!
//! A condition is a list of alternatives, each a list of comparisons that must all hold.

use std::collections::BTreeSet;

use crate::source::python::markers::{MarkerToken, tokens};
use crate::source::python::wheel::normalized;

/// Upper bound on the alternatives, so that a lock cannot exhaust the memory.
const MOST: usize = 256;

/// Upper bound on the depth of parentheses, so that a lock cannot exhaust the stack.
const DEPTH: usize = 64;

/// When a package is needed. Without alternatives: never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition(BTreeSet<BTreeSet<String>>);

impl Condition {
    pub(super) fn always() -> Condition {
        Condition(BTreeSet::from([BTreeSet::new()]))
    }

    /// The condition of a marker.
    pub(super) fn of(marker: Option<&str>) -> Result<Condition, String> {
        let Some(marker) = marker else { return Ok(Condition::always()) };
        let fail = |fault: &str| format!("the marker `{marker}` cannot be read: {fault}");
        let mut reader = Reader { tokens: tokens(marker).map_err(fail)?, next: 0, depth: 0 };
        let found = reader.any().map_err(|fault| fail(&fault))?;
        match reader.next == reader.tokens.len() {
            true => Ok(found),
            false => Err(fail("it does not end where it should")),
        }
    }

    /// Either of two conditions.
    pub(super) fn or(&self, other: &Condition) -> Result<Condition, String> {
        let all: BTreeSet<_> = self.0.union(&other.0).cloned().collect();
        // An alternative that another one implies adds nothing.
        let is_implied =
            |one: &BTreeSet<String>| all.iter().any(|other| other != one && other.is_subset(one));
        let kept: BTreeSet<_> = all.iter().filter(|one| !is_implied(one)).cloned().collect();
        match kept.len() > MOST {
            true => Err("its markers have too many combinations".to_owned()),
            false => Ok(Condition(kept)),
        }
    }

    /// Both of two conditions.
    pub(super) fn and(&self, other: &Condition) -> Result<Condition, String> {
        if self.0.len() * other.0.len() > MOST * MOST {
            return Err("its markers have too many combinations".to_owned());
        }
        let pairs = self.0.iter().flat_map(|one| other.0.iter().map(move |other| (one, other)));
        let joined = pairs.map(|(one, other)| one.union(other).cloned().collect::<BTreeSet<_>>());
        let possible = joined.filter(|all| !is_impossible(all));
        Condition(possible.collect()).or(&Condition::default())
    }

    /// The condition where exactly these extras are asked for.
    pub(super) fn with_extras(&self, extras: &BTreeSet<String>) -> Condition {
        let decided = |text: &String| {
            let (is_equal, name) = match text.strip_prefix("extra == ") {
                Some(name) => (true, name),
                None => (false, text.strip_prefix("extra != ")?),
            };
            Some(extras.contains(&normalized(name.trim_matches(['\'', '"']))) == is_equal)
        };
        let possible = self.0.iter().filter(|all| all.iter().all(|text| decided(text) != Some(false)));
        let rest = possible.map(|all| all.iter().filter(|text| decided(text).is_none()).cloned().collect());
        Condition(rest.collect())
    }

    /// The marker; empty if the condition always holds. `None`: it never does.
    pub(super) fn text(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        if self.0.contains(&BTreeSet::new()) {
            return Some(String::new());
        }
        let all = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(" and ");
        let texts: Vec<(usize, String)> = self.0.iter().map(|one| (one.len(), all(one))).collect();
        let text = |(length, text): &(usize, String)| match texts.len() > 1 && *length > 1 {
            true => format!("({text})"),
            false => text.clone(),
        };
        Some(texts.iter().map(text).collect::<Vec<_>>().join(" or "))
    }
}

/// Whether a variable would have to be two texts at once.
fn is_impossible(all: &BTreeSet<String>) -> bool {
    let equal = |text: &String| {
        let (name, value) = text.split_once(" == ")?;
        (name.ends_with("platform")
            || name.ends_with("_machine")
            || name.ends_with("_system")
            || name == "os_name")
            .then(|| (name.to_owned(), value.to_owned()))
    };
    let values: BTreeSet<(String, String)> = all.iter().filter_map(equal).collect();
    let names: BTreeSet<&String> = values.iter().map(|(name, _)| name).collect();
    names.len() < values.len()
        || values.iter().any(|(name, value)| all.contains(&format!("{name} != {value}")))
}

struct Reader {
    tokens: Vec<MarkerToken>,
    next: usize,
    depth: usize,
}

impl Reader {
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.next), Some(MarkerToken::Word(text)) if text == word);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut found = self.all()?;
        while self.word("or") {
            found = found.or(&self.all()?)?;
        }
        Ok(found)
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut found = self.one()?;
        while self.word("and") {
            found = found.and(&self.one()?)?;
        }
        Ok(found)
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.tokens.get(self.next) == Some(&MarkerToken::Open) {
            self.next += 1;
            self.depth += 1;
            if self.depth > DEPTH {
                return Err("its parentheses are nested too deeply".to_owned());
            }
            let found = self.any()?;
            self.depth -= 1;
            let is_closed = self.tokens.get(self.next) == Some(&MarkerToken::Close);
            self.next += 1;
            return if is_closed { Ok(found) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let left = self.side()?;
        let operator = match self.tokens.get(self.next) {
            Some(MarkerToken::Operator(operator)) => operator.clone(),
            Some(MarkerToken::Word(word)) if word == "in" => word.clone(),
            Some(MarkerToken::Word(word)) if word == "not" => "not in".to_owned(),
            _ => return Err("an operator is missing".to_owned()),
        };
        self.next += 1;
        if operator == "not in" && !self.word("in") {
            return Err("an operator is missing".to_owned());
        }
        let right = self.side()?;
        Ok(Condition(BTreeSet::from([BTreeSet::from([format!("{left} {operator} {right}")])])))
    }

    fn side(&mut self) -> Result<String, String> {
        let side = match self.tokens.get(self.next) {
            Some(MarkerToken::Word(name)) => name.clone(),
            Some(MarkerToken::Text(text)) if !text.contains('\'') => format!("'{text}'"),
            Some(MarkerToken::Text(text)) => format!("\"{text}\""),
            _ => return Err("a value is missing".to_owned()),
        };
        self.next += 1;
        // A marker stands at the end of one line.
        match side.contains(|c: char| c.is_control()) {
            true => Err("it has control characters".to_owned()),
            false => Ok(side),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(marker: &str) -> Condition {
        Condition::of((!marker.is_empty()).then_some(marker)).unwrap()
    }

    #[test]
    fn conditions_are_combined_as_texts() {
        let (win, old) = (of("sys_platform == \"win32\""), of("python_full_version < '3.12'"));
        for (condition, text) in [
            (win.clone(), Some("sys_platform == 'win32'")),
            (win.or(&old).unwrap(), Some("python_full_version < '3.12' or sys_platform == 'win32'")),
            (win.and(&old).unwrap(), Some("python_full_version < '3.12' and sys_platform == 'win32'")),
            (win.or(&win.and(&old).unwrap()).unwrap(), Some("sys_platform == 'win32'")),
            (win.or(&Condition::always()).unwrap(), Some("")),
            (win.and(&Condition::always()).unwrap(), Some("sys_platform == 'win32'")),
            (win.and(&of("sys_platform == 'linux'")).unwrap(), None),
            (win.and(&of("sys_platform != 'win32'")).unwrap(), None),
            (Condition::default(), None),
            (
                of("(os_name == 'nt' or extra == 'a') and 'x' not in platform_version"),
                Some(
                    "('x' not in platform_version and extra == 'a') or ('x' not in platform_version and os_name == 'nt')",
                ),
            ),
        ] {
            assert_eq!(condition.text().as_deref(), text);
        }
    }

    #[test]
    fn a_hostile_marker_is_an_error() {
        let deep = "(".repeat(10_000);
        let wide = (0..20).map(|n| format!("(a == '{n}' or b == '{n}')")).collect::<Vec<_>>().join(" and ");
        for marker in ["", "x", "x ==", "x == 'a' y", "(x == 'a'", "x not 'a'", "x == 'a\nb'", &deep, &wide] {
            assert!(Condition::of(Some(marker)).is_err(), "{marker}");
        }
    }
}
