//! Digests in messages. Tools that call `docker` take the first full digest in its output for that of the image, so that
//! there no message has another one.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

static ARE_SHORT: AtomicBool = AtomicBool::new(false);

/// The algorithm, before the digits.
const START: &str = "sha256:";
const DIGITS: usize = 64;
/// The number of digits that are left, as Docker prints an id.
const LEFT: usize = 12;

/// Shortens digests in all messages from now on.
pub fn shorten() {
    ARE_SHORT.store(true, Ordering::Relaxed);
}

/// The text of a message.
pub fn shown(text: &str) -> Cow<'_, str> {
    match ARE_SHORT.load(Ordering::Relaxed) && text.contains(START) {
        true => Cow::Owned(shortened(text)),
        false => Cow::Borrowed(text),
    }
}

fn shortened(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, digits) = rest.split_at(at + START.len());
        out.push_str(before);
        let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&digits[..if length == DIGITS { LEFT } else { length }]);
        rest = &digits[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_cut_and_nothing_else() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, expected) in [
            (format!("blob {digest} of r.example"), "blob sha256:0a0a0a0a0a0a of r.example".to_owned()),
            (format!("{digest}@{digest}"), "sha256:0a0a0a0a0a0a@sha256:0a0a0a0a0a0a".to_owned()),
            ("sha256:0a sha256: x".to_owned(), "sha256:0a sha256: x".to_owned()),
        ] {
            assert_eq!(shortened(&text), expected);
        }
    }
}
