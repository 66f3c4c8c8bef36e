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
/// `USER:PASSWORD@HOST/NAME`. In a URL, a user without a password is replaced too, because it may be a token. A quoted
/// name may contain spaces.
pub fn without_logins(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((start, end)) = quoted(rest) {
        shown.push_str(&of_words(&rest[..start]));
        shown.push_str(&without_login(&rest[start..end]));
        rest = &rest[end..];
    }
    shown.push_str(&of_words(rest));
    Cow::Owned(shown)
}

/// The first quoted part of a line that contains an `@`, without the quotes.
fn quoted(text: &str) -> Option<(usize, usize)> {
    let opens =
        |at: usize| text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || "([{=:,".contains(c));
    let closes =
        |at: usize| text[at + 1..].chars().next().is_none_or(|c| c.is_whitespace() || ")]},.:;".contains(c));
    let mut quotes = text.match_indices(['\'', '"', '`']).filter(|(at, _)| opens(*at));
    quotes.find_map(|(start, quote)| {
        let inside = start + 1;
        let line = text[inside..].lines().next().unwrap_or_default();
        let mut ends = line.match_indices(quote).map(|(end, _)| inside + end).filter(|end| closes(*end));
        ends.find(|end| text[inside..*end].contains('@')).map(|end| (inside, end))
    })
}

/// The text with the logins in its words replaced. A login that is cut by a space continues in a later word.
fn of_words(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while !rest.is_empty() {
            let length = |text: &str| text.split_inclusive(char::is_whitespace).next().map_or(0, str::len);
            let mut end = length(rest);
            if is_cut(rest[..end].trim_end())
                && let Some(at) = rest.find('@')
            {
                end = at + length(&rest[at..]);
            }
            shown.push_str(&without_login(&rest[..end]));
            rest = &rest[end..];
        }
    }
    shown
}

/// Whether a word has the beginning of a URL's login, but not its end.
fn is_cut(word: &str) -> bool {
    let Some((_, url)) = word.split_once("://") else { return false };
    !url.contains(['@', '/']) && url.contains(':') && !is_host(url)
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
    let at = last_at(url)?;
    let is_scope = url[..at].ends_with('/') && !url[..authority].contains(':');
    (!is_scope && !is_host_before(&url[..authority], &url[at + 1..])).then_some(at)
}

/// The start and the end of the login in a name without a scheme.
fn login_of_name(name: &str) -> Option<(usize, usize)> {
    let at = last_at(name)?;
    let colon = name[..at].find(':');
    // The name may be quoted, or the value of an option.
    let before = &name[..colon.unwrap_or(at)];
    let start = before.rfind(['=', '\'', '"', '`', '(', '<', ',']).map_or(0, |before| before + 1);
    let (user, after) = (&before[start..], &name[at + 1..]);
    let is_path = user.starts_with(['/', '.', '~']) || PATHS.contains(&user);
    if user.is_empty() || is_path {
        return None;
    }
    let Some(colon) = colon else {
        // A token without a password, as in `TOKEN@HOST/NAME`; `git@github.com` has none, and neither has the name of a
        // package in a command, as in `npm install @SCOPE/NAME`.
        let is_package = user.ends_with(char::is_whitespace);
        return (!is_package && !user.contains('/') && after.contains('/')).then_some((start, at));
    };
    // In `HOST:PORT/NAME@…` and `HOST/NAME:TAG@…`, the `@` does not end a login.
    let end = name[colon..at].find('/').map_or(at, |slash| colon + slash);
    let authority = match user.split_once('/') {
        Some((host, _)) => host,
        None if end == at => return Some((start, at)),
        None => &name[start..end],
    };
    (!is_host_before(authority, after)).then_some((start, at))
}

/// Whether the authority of a URL or name is a host, although an `@` follows in its path: what is `after` that is not
/// another host.
fn is_host_before(authority: &str, after: &str) -> bool {
    let next = after.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let is_address = next.parse::<std::net::IpAddr>().is_ok();
    let is_name = next.contains('.') && next.contains(|c: char| c.is_ascii_alphabetic());
    let has_port = authority.contains(':');
    is_host(authority) && !(has_port && (is_address || is_name))
}

/// Whether a text is likely to be a host, with or without a port, rather than a user with a password.
fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_named = host.contains('.') || host == "localhost" || host.starts_with('[');
    is_named && port.bytes().all(|byte| byte.is_ascii_digit())
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
    fn the_scope_of_a_package_is_not_a_login() {
        let text = "install yarn 4.0 or newer: `npm install -g @yarnpkg/cli-dist`";
        assert_eq!(without_logins(text), text);
    }

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
            ("--to user:1/pw@h.example/r:v1", "--to …@h.example/r:v1"),
            ("https://user:1/pw@h/r", "https://…@h/r"),
            ("https://u:12#pw@h/r", "https://…@h/r"),
            ("https://u:12?pw@h/r", "https://…@h/r"),
            ("first.last:9/pw@h.example/r", "…@h.example/r"),
            ("https://first.last:9/pw@127.0.0.1:5000/r", "https://…@127.0.0.1:5000/r"),
            ("u%3Apw@h/r", "…@h/r"),
            ("token@h/r:v1", "…@h/r:v1"),
            ("u/x:pw@h/r", "…@h/r"),
            (
                "invalid value 'https://u:my pw@h/r' for '--arch'",
                "invalid value 'https://…@h/r' for '--arch'",
            ),
            ("invalid value 'u:my pw@h/r' for 'x'", "invalid value '…@h/r' for 'x'"),
            ("3 | to = \"u:my pw@h/r\"\n  | ^^", "3 | to = \"…@h/r\"\n  | ^^"),
            ("cannot read https://u:my long pw@h/r", "cannot read https://…@h/r"),
            ("cannot read https://u:12 pw@h/r", "cannot read https://…@h/r"),
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
            "it's at git@github.com, isn't it",
            "https://cdn.example:443/npm/vue@3.4.1/dist",
            "https://cdn.example/npm/vue@3.4.1/index.js",
            "http://intranet/@scope/name",
            "r.example/a:v1@x",
            "localhost:5000/a@b",
            "@scope/name@1.2.3",
            "see https://docs.example: or ask me@mail.example",
        ] {
            assert_eq!(without_logins(text), text);
        }
    }
}
