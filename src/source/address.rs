//! Addresses that may have a login in them, and the same without.

use std::sync::LazyLock;

use regex::Regex;
use reqwest::Url;

/// What looks like an address of the web.
pub(super) static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"https?://[^\s"'<>]+"#).unwrap_or_else(|_| unreachable!("the pattern is right"))
});

/// The address without a login in it.
pub(super) fn without_login(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Neither can fail where there was a login.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// A text of another program, without what looks like a login in an address.
pub(super) fn redacted(text: &str) -> String {
    ADDRESS.replace_all(text, |found: &regex::Captures<'_>| without_login(&found[0])).into_owned()
}
