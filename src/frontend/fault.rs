//! An error and its position in the text.

/// An error at a position of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offset in the text, in bytes.
    pub at: usize,
    pub message: String,
    /// A proposed fix.
    pub hint: Option<String>,
    /// Whether the line may have a secret, of which messages do not show anything.
    pub is_secret: bool,
}

pub(super) type Parsed<T> = Result<T, Fault>;

impl Fault {
    pub fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), hint: None, is_secret: false }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// With a hint if there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Fault {
        Fault { hint: hint.or(self.hint), ..self }
    }
}

/// The hint for a misspelt name.
pub(super) fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    near(word, names).map(|name| format!("did you mean `{name}`?"))
}

/// The name that differs least from `word`, if few letters differ.
pub(super) fn near<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes quadratic time; nobody misspells a name of this length.
    const LONGEST: usize = 64;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    let candidates = names.into_iter().filter(|name| name.len() <= LONGEST);
    let measured = candidates.map(|name| (distance(&word, &name.to_ascii_lowercase()), name));
    measured.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// Levenshtein's distance, with an exchange of two neighbours as one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["RUN", "COPY", "ENTRYPOINT", "CMD", "ENV"];
        for (word, name) in [
            ("RUNN", Some("RUN")),
            ("copi", Some("COPY")),
            ("COYP", Some("COPY")),
            ("ENTRYPIONT", Some("ENTRYPOINT")),
            ("FETCH", None),
            ("", None),
        ] {
            assert_eq!(near(word, names), name, "{word}");
        }
    }
}
