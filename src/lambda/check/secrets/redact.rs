//! Removes secrets from displayed text.

use super::form::{find, places};
use super::name::{assignment, in_shell, is_public, named, option};

/// Replaces a secret.
const GONE: char = '…';

/// The length of the shortest secret of one word that is recognised by its form.
const SHORTEST: usize = 12;

/// Upper bound on the bytes of a word that are examined to decide whether a secret ends within the word.
const SAMPLE: usize = 4096;

/// Whether the rule `secret-config` takes the value of a variable or label with this name for a secret.
pub fn is_secret(name: &str, value: &str) -> bool {
    !is_public(name) && (named(name, value).is_some() || !find(&format!("{name}={value}")).is_empty())
}

/// Replaces each value that the rule `secret-config` takes for a secret with `…`. If the end of a secret is uncertain,
/// more of the text is removed.
pub fn without_secrets(text: &str) -> String {
    let found = places(text);
    // If a secret has several words, as a key or a header does, the rest of the text is removed.
    let end = found.iter().map(|place| place.at).filter(|&at| !is_of_one_word(&text[at..])).min();
    let mut shown = String::with_capacity(text.len());
    let mut before = "";
    for piece in text[..end.unwrap_or(text.len())].split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        match begin(before, word, !found.is_empty()) {
            Some(at) => {
                shown.push_str(&word[..at]);
                shown.push(GONE);
            }
            None => shown.push_str(word),
        }
        shown.push_str(&piece[word.len()..]);
        if !word.is_empty() {
            before = word;
        }
    }
    if end.is_some() {
        shown.push(GONE);
    }
    // One search finds a limited number of secrets: repeat it.
    while !found.is_empty()
        && let Some(at) = places(&shown).iter().map(|place| place.at).min()
    {
        shown.truncate(at);
        shown.push(GONE);
    }
    shown
}

/// Whether the secret at the beginning of the text ends within the first word.
fn is_of_one_word(text: &str) -> bool {
    let word = text.split(char::is_whitespace).next().unwrap_or(text);
    places(word.get(..SAMPLE).unwrap_or(word)).iter().any(|place| place.at == 0)
}

/// The offset of the secret in a word, if it holds one. `has_forms`: whether the text has secrets recognised by form.
fn begin(before: &str, word: &str, has_forms: bool) -> Option<usize> {
    if option(before, word).is_some_and(|(name, value)| in_shell(name, value).is_some()) {
        return Some(0);
    }
    if assignment(word).is_some_and(|(name, value)| named(name, value).is_some()) {
        return word.find('=').map(|at| at + 1);
    }
    if !has_forms || word.len() < SHORTEST {
        return None;
    }
    places(word).iter().map(|place| place.at).min()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::rules::rule;
    use super::super::super::sample::Sample;
    use super::super::secret::tests::random;
    use super::*;

    fn said(sample: &Sample) -> Vec<String> {
        sample.says(rule("secret-config").expect("a known rule"))
    }

    /// The messages of the rule about a line of the history.
    fn said_of(line: &str) -> Vec<String> {
        let mut sample = Sample::python();
        sample.config["history"] = json!([{ "created_by": line }]);
        said(&sample)
    }

    #[test]
    fn secrets_are_removed_from_the_text() {
        let (key, secret, token) = ("AKIAZ3MHBFVX7KPLQRST", random(40), format!("ghp_{}", random(36)));
        for (line, shown) in [
            (
                "RUN |1 NPM_TOKEN=0123456789abcdef /bin/sh -c npm ci".to_owned(),
                "RUN |1 NPM_TOKEN=… /bin/sh -c npm ci",
            ),
            (format!("ENV GH={token}  A=1\n"), "ENV GH=…  A=1\n"),
            (format!("ARG A={token} B={token}"), "ARG A=… B=…"),
            ("ARG DB_PASSWORD=correcthorse".to_owned(), "ARG DB_PASSWORD=…"),
            ("RUN cli --token a1B2c3D4a1B2 go".to_owned(), "RUN cli --token … go"),
            ("RUN git clone https://me:hunter2@i.example/a b".to_owned(), "RUN git clone … b"),
            ("RUN set https://me:hunter2@i.example/:_authToken=0123456789abcdef".to_owned(), "RUN set …"),
            (format!("RUN curl -H \"Authorization: Bearer {secret}\" https://i.example"), "RUN curl -H \"…"),
            (format!("RUN aws configure set aws_secret_access_key {secret}"), "RUN aws configure set aws_…"),
            (format!("RUN setup {key} {secret}"), "RUN setup … …"),
            (format!("RUN setup {secret} {key}"), "RUN setup …"),
            (format!("RUN echo '-----BEGIN {} KEY-----\n{}' > k", "PRIVATE", random(64)), "RUN echo '…"),
        ] {
            assert!(!said_of(&line).is_empty(), "{line}");
            assert_eq!(without_secrets(&line), shown, "{line}");
            assert_eq!(said_of(shown), [""; 0], "{shown}");
        }
    }

    #[test]
    fn every_one_of_many_secrets_is_removed() {
        let tokens: String = (36..70).map(|length| format!(" ghp_{}", random(length))).collect();
        assert_eq!(without_secrets(&tokens), " …".repeat(34));
        let line = format!("curl Authorization: Bearer {}{tokens}", random(32));
        assert_eq!(without_secrets(&line), "curl …");
    }

    #[test]
    fn a_text_without_secrets_is_unchanged() {
        for text in [
            "",
            " a \t b\r\n\n",
            "RUN |1 DEBUG=1 /bin/sh -c npm ci # buildkit",
            "RUN /bin/sh -c TOKEN=$(cat /run/secrets/token) npm ci",
            "RUN --mount=type=secret,id=npm_token1 npm ci",
            "lbuild: files in /var/task",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }

    #[test]
    fn pairs_are_classified_as_in_the_rule() {
        let token = format!("ghp_{}", random(36));
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2hunter2", true),
            ("DB_URL", "pg://me:hunter2@db/x", true),
            ("GH", token.as_str(), true),
            ("PATH", "/bin", false),
            ("TOKEN_URL", "https://i.example/a1B2c3D4a1B2", false),
            ("NEXT_PUBLIC_TOKEN", token.as_str(), false),
            ("DB_PASSWORD", "${DB_PASSWORD}", false),
        ] {
            let sample = Sample::python().process("Env", json!([format!("{name}={value}")]));
            assert_eq!(is_secret(name, value), expected, "{name}={value}");
            assert_eq!(!said(&sample).is_empty(), expected, "{name}={value}");
        }
    }
}
