//! Text of others as it may be shown: without passwords, and without characters that control a terminal.
//!
//! Names and URLs come from arguments, files and registries, and messages repeat them. A log may have many readers, and
//! a terminal obeys the characters that it is sent.

use std::borrow::Cow;

/// Stands for a login that is not shown.
pub(super) const LOGIN: &str = "…";

/// Schemes of names whose path may contain an `@`.
const PATHS: [&str; 3] = ["oci", "docker-archive", "file"];

/// Whether a character changes how the text around it is displayed: a control character, or one that overrides the
/// direction of writing, with which a text reads differently from what it is (<https://trojansource.codes>).
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with each character that [controls](is_control) a terminal replaced, except line ends and tabs.
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_control(c) && !matches!(c, '\n' | '\t'))
}

/// As [`printable`], with line ends and tabs replaced too: foreign text on a new line could look like a message of
/// lbuild.
pub fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_control)
}

fn replaced(text: &str, bad: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    match text.contains(bad) {
        true => Cow::Owned(text.replace(bad, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The text with the logins in its URLs and image names replaced, as in `https://USER:PASSWORD@HOST/` and
/// `USER:PASSWORD@HOST/NAME`. In a URL, a user without a password is replaced too, because it may be a token.
pub fn without_logins(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let words = text.split_inclusive(char::is_whitespace);
    Cow::Owned(words.map(|word| without_login(word).into_owned()).collect())
}

/// As [`without_logins`], for a text that is one name or URL and may contain spaces.
pub fn without_login(name: &str) -> Cow<'_, str> {
    let Some(scheme) = name.find("://") else {
        return match login_of_name(name) {
            Some((start, end)) => Cow::Owned(format!("{}{LOGIN}{}", &name[..start], &name[end..])),
            None => Cow::Borrowed(name),
        };
    };
    let (before, after) = name.split_at(scheme + "://".len());
    // Another URL may follow in the same text, as in `a=https://…,b=https://…`.
    let end = match after.find("://") {
        Some(next) => after[..next].rfind([',', ';', '|']).unwrap_or(next),
        None => after.len(),
    };
    let (url, rest) = after.split_at(end);
    let url = login_of_url(url).map_or(url.to_owned(), |end| format!("{LOGIN}{}", &url[end..]));
    Cow::Owned(format!("{before}{url}{}", without_login(rest)))
}

/// The end of the login in a URL without its scheme: the position of its `@`.
fn login_of_url(url: &str) -> Option<usize> {
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    if let Some(at) = url[..authority].rfind('@') {
        return Some(at);
    }
    // A password that is not escaped may contain a slash. The text before the first one is a host otherwise.
    let (_, port) = url[..authority].rsplit_once(':')?;
    if port.bytes().all(|byte| byte.is_ascii_digit()) { None } else { last_at(url) }
}

/// The start and the end of the login in a name without a scheme.
fn login_of_name(name: &str) -> Option<(usize, usize)> {
    let colon = name.find(':')?;
    // The name may be quoted, or the value of an option.
    let start = name[..colon].rfind(['=', '\'', '"', '`', '(', '<', ',']).map_or(0, |before| before + 1);
    let user = &name[start..colon];
    let at = last_at(name).filter(|&at| at > colon)?;
    if user.is_empty() || user.contains('/') || PATHS.contains(&user) {
        return None;
    }
    // In `HOST:PORT/NAME@DIGEST` the `@` does not end a login.
    let first = name[colon + 1..at].split('/').next().unwrap_or_default();
    let is_port = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    (!is_port || !name[colon..at].contains('/')).then_some((start, at))
}

/// The last `@` that is not followed by a digest.
fn last_at(text: &str) -> Option<usize> {
    let mut found = text.match_indices('@').map(|(at, _)| at).rev();
    found.find(|at| !["sha256:", "sha512:"].iter().any(|kind| text[at + 1..].starts_with(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_and_no_direction_mark_is_printed() {
        assert_eq!(printable("a\u{1b}[31mb\u{9b}c\n\td\r"), "a\u{fffd}[31mb\u{fffd}c\n\td\u{fffd}");
        assert!(matches!(printable("plain é 日本"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\u{9b}\nerror: b\tc"), "a\u{fffd}\u{fffd}error: b\u{fffd}c");
        for mark in "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}".chars() {
            assert_eq!(printable(&format!("a{mark}b")), "a\u{fffd}b", "{mark:?}");
        }
    }

    #[test]
    fn a_login_is_not_shown() {
        for (text, shown) in [
            ("u:pw@127.0.0.1:1/r:v1", "…@127.0.0.1:1/r:v1"),
            ("http://u:pw@h/r:v1", "http://…@h/r:v1"),
            ("https://token@h/r", "https://…@h/r"),
            ("u:p/w@h/r", "…@h/r"),
            ("u:p@w@h/r", "…@h/r"),
            ("https://u:p/w@h/r", "https://…@h/r"),
            ("https://u:p@w@h/r", "https://…@h/r"),
            ("error: `u:pw@h/r` is bad", "error: `…@h/r` is bad"),
            ("--to=u:pw@h/r", "--to=…@h/r"),
            ("'--too=https://u:pw@h/r'", "'--too=https://…@h/r'"),
            ("a=https://u:pw@h,b=https://u:pw@i/", "a=https://…@h,b=https://…@i/"),
            ("u:pw@h/r see http://u:pw@h", "…@h/r see http://…@h"),
            ("u:1234@h:5000/r:v1@sha256:00", "…@h:5000/r:v1@sha256:00"),
        ] {
            assert_eq!(without_logins(text), shown);
        }
        assert_eq!(without_login("u:two words@h/r"), "…@h/r");
    }

    #[test]
    fn other_names_are_shown_as_they_are() {
        for text in [
            "r.example:5000/a:v1@sha256:00",
            "hello:v1@sha256:00",
            "oci:/var/jenkins/job@2/image:v1",
            "oci:dir@sha256:00",
            "docker-archive:/a@b/f.tar:n:v1",
            "https://registry.npmjs.org/@scope/name",
            "http://127.0.0.1:8080/@scope/name",
            "127.0.0.1:8080/a@b",
            "/srv/job@2/app.py:3: error",
            "git@github.com",
        ] {
            assert_eq!(without_logins(text), text);
        }
    }
}
