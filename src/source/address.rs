//! URLs: removal of logins, file names, `file:` URLs, and percent-decoding.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use reqwest::Url;

/// A URL within a text.
pub(super) static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"https?://[^\s"'<>]+"#).unwrap_or_else(|_| unreachable!("the pattern is valid"))
});

/// The URL without its user and password.
pub(super) fn without_login(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Neither call can fail for a URL that had a login.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// The text with logins removed from its URLs.
pub(super) fn redacted(text: &str) -> String {
    ADDRESS.replace_all(text, |found: &regex::Captures<'_>| without_login(&found[0])).into_owned()
}

/// The last segment of a URL's path, percent-decoded.
pub(super) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    let name = unescaped(name)?;
    // An escaped slash would make the name a path.
    (!name.contains(['/', '\0'])).then_some(name)
}

/// A part of a URL, percent-decoded.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The path of a `file:` URL.
pub(super) fn file_path(url: &str) -> Option<PathBuf> {
    Url::parse(url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

/// The `file:` URL of a path that is relative to `dir`.
pub(super) fn file_url(dir: &Path, path: &str) -> Option<String> {
    let path = std::path::absolute(dir.join(path)).ok()?;
    Url::from_file_path(path).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_of_a_url_is_a_file_name() {
        for (url, name) in [
            ("https://h/a/b-1.0%2Blocal-py3-none-any.whl", Some("b-1.0+local-py3-none-any.whl")),
            ("https://h/b.whl#sha256=00", Some("b.whl")),
            ("https://h/b.whl?token=x/y", Some("b.whl")),
            ("file:///x/b%20c.whl", Some("b c.whl")),
            ("https://h/..%2f..%2fetc", None),
            ("https://h/", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn a_path_becomes_a_file_url() {
        assert_eq!(file_url(Path::new("/a"), "b c.whl").as_deref(), Some("file:///a/b%20c.whl"));
        assert_eq!(file_url(Path::new("/a"), "/b.whl").as_deref(), Some("file:///b.whl"));
        assert_eq!(file_path("file:///a/b%20c/"), Some("/a/b c/".into()));
        assert_eq!(file_path("https://h.example/a/"), None);
    }
}
