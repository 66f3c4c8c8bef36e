//! What may be shown of a text: all but its secrets.

use super::form::{find, places};
use super::name::{assignment, in_shell, is_public, named, option};

/// What stands where a secret was.
const GONE: char = '…';

/// No secret of one word that is known by its form is shorter.
const SHORTEST: usize = 12;

/// So much of a word is looked at to tell whether a secret is all in it.
const SAMPLE: usize = 4096;

/// Whether the rule `secret-config` calls the value of a variable or label of this name a secret.
pub fn is_secret(name: &str, value: &str) -> bool {
    !is_public(name) && (named(name, value).is_some() || !find(&format!("{name}={value}")).is_empty())
}

/// The text with `…` in place of what the rule `secret-config` calls a secret in it. Where a secret cannot be told from
/// what stands around it, more is left out.
pub fn without_secrets(text: &str) -> String {
    let found = places(text);
    // What goes over several words, as a key or a header does, takes the rest of the text with it.
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
    // Of very many secrets, not all are found at once.
    while !found.is_empty()
        && let Some(at) = places(&shown).iter().map(|place| place.at).min()
    {
        shown.truncate(at);
        shown.push(GONE);
    }
    shown
}

/// Whether the secret with which the text begins ends with its first word.
fn is_of_one_word(text: &str) -> bool {
    let word = text.split(char::is_whitespace).next().unwrap_or(text);
    places(word.get(..SAMPLE).unwrap_or(word)).iter().any(|place| place.at == 0)
}

/// Where the secret in a word begins, if it holds one; `has_forms` is whether any of its text is known by its form.
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
        sample.says(rule("secret-config").expect("it is a rule"))
    }

    /// What the rule says of a line of the history.
    fn said_of(line: &str) -> Vec<String> {
        let mut sample = Sample::python();
        sample.config["history"] = json!([{ "created_by": line }]);
        said(&sample)
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
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
    fn of_very_many_secrets_none_is_shown() {
        let tokens: String = (36..70).map(|length| format!(" ghp_{}", random(length))).collect();
        assert_eq!(without_secrets(&tokens), " …".repeat(34));
        let line = format!("curl Authorization: Bearer {}{tokens}", random(32));
        assert_eq!(without_secrets(&line), "curl …");
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
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
    fn pairs_are_judged_as_the_rule_does() {
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
