//! The secrets of a build, by their names. Nothing shows a value: no message, log, event, key or layer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What takes the place of a value in messages.
const HIDDEN: &str = "***";

/// The shortest text that is hidden: a shorter one is part of ordinary words.
const SHORTEST: usize = 4;

/// Words of configuration files that are no secrets.
const KEYWORDS: [&str; 16] = [
    "account",
    "default",
    "extra-index-url",
    "false",
    "find-links",
    "global",
    "http",
    "https",
    "index-url",
    "install",
    "login",
    "machine",
    "password",
    "simple",
    "true",
    "trusted-host",
];

/// The secrets of a build.
#[derive(Clone, Default)]
pub(crate) struct BuildSecrets {
    values: Arc<BTreeMap<String, Vec<u8>>>,
}

impl fmt::Debug for BuildSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

impl BuildSecrets {
    pub(crate) fn new(values: BTreeMap<String, Vec<u8>>) -> BuildSecrets {
        BuildSecrets { values: Arc::new(values) }
    }

    /// The value of the secret with this name.
    pub(crate) fn get(&self, id: &str) -> Option<&[u8]> {
        self.values.get(id).map(Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text without the values, without words of them, and without the parts of their URLs that may be a login.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut parts: Vec<Cow<'_, str>> = self.values.values().flat_map(|value| parts(value)).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        let mut hidden = Cow::Borrowed(text);
        for part in parts {
            if hidden.contains(&*part) {
                hidden = Cow::Owned(hidden.replace(&*part, HIDDEN));
            }
        }
        hidden
    }
}

/// The parts of a value that no message may have.
fn parts(value: &[u8]) -> Vec<Cow<'_, str>> {
    let text = String::from_utf8_lossy(value);
    let mut found: Vec<String> = vec![text.trim().to_owned()];
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | ',' | '[' | ']')) {
        let Some((_, rest)) = word.split_once("://") else {
            found.push(word.to_owned());
            continue;
        };
        // The host is not secret, and a message about an index is useless without it.
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if let Some((login, _)) = authority.rsplit_once('@') {
            found.push(login.to_owned());
            found.extend(login.split(':').map(str::to_owned));
        }
        found.extend(path.split(['/', '?', '&', '#']).map(str::to_owned));
    }
    found.retain(|part| part.len() >= SHORTEST && !KEYWORDS.contains(&&**part));
    found.into_iter().map(Cow::Owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_value_is_shown() {
        let secrets = BuildSecrets::new(BTreeMap::from([
            ("token".to_owned(), b"tok-123\n".to_vec()),
            ("netrc".to_owned(), b"machine i.example login me-myself password hunter2".to_vec()),
            (
                "conf".to_owned(),
                b"[global]\nindex-url = https://user:p4ssword@j.example/t0ken9/simple\n".to_vec(),
            ),
        ]));
        for (text, shown) in [
            ("401 for tok-123 at i", "401 for *** at i"),
            ("https://me-myself:hunter2@h/", "https://***:***@h/"),
            ("https://user:p4ssword@j.example/t0ken9/simple/a", "https://***@j.example/***/simple/a"),
            ("at https://j.example/t0ken9/simple: 403", "at https://j.example/***/simple: 403"),
            ("the password of a machine", "the password of a machine"),
        ] {
            assert_eq!(secrets.hide(text), shown, "rule 154: {text}");
        }
        assert_eq!(format!("{secrets:?}"), r#"["conf", "netrc", "token"]"#);
    }
}
