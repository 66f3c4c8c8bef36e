//! Patterns of the shell and of find, for bytes as with `LC_ALL=C`.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_14>

/// Whether text with no slash that matters matches a pattern: `*`, `?`, `[…]`, and a backslash before any byte.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Of several stars only the last one need be extended: what the others matched stays right.
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
                continue;
            }
            Some(_) => {
                let (length, is_match) = one(&pattern[at..], text[from]);
                if is_match {
                    at += length;
                    from += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((after, start)) = star else { return false };
        star = Some((after, start + 1));
        (at, from) = (after, start + 1);
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether the first element of a pattern matches a byte, and its length.
fn one(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern {
        [b'?', ..] => (1, true),
        [b'\\', quoted, ..] => (2, *quoted == byte),
        [b'[', ..] => class(pattern, byte).unwrap_or((1, byte == b'[')),
        [literal, ..] => (1, *literal == byte),
        [] => (0, false),
    }
}

/// The same for a bracket expression; `None` if it has no end.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let (mut at, mut is_match) = (first, false);
    loop {
        match &pattern[at..] {
            [b']', ..] if at > first => return Some((at + 1, is_match != negated)),
            [b'[', b':', rest @ ..] => {
                let end = rest.windows(2).position(|pair| pair == b":]")?;
                is_match |= is_of(&rest[..end], byte)?;
                at += end + 4;
                continue;
            }
            _ => {}
        }
        let (low, after) = literal(pattern, at)?;
        match pattern.get(after..) {
            Some([b'-', next, ..]) if *next != b']' => {
                let (high, end) = literal(pattern, after + 1)?;
                is_match |= (low..=high).contains(&byte);
                at = end;
            }
            _ => {
                is_match |= low == byte;
                at = after;
            }
        }
    }
}

fn literal(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match pattern.get(at..)? {
        [b'\\', quoted, ..] => Some((*quoted, at + 2)),
        [byte, ..] => Some((*byte, at + 1)),
        [] => None,
    }
}

/// Whether a byte is of a named class; `None` for an unknown name.
fn is_of(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        b"cntrl" => byte.is_ascii_control(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"graph" => byte.is_ascii_graphic(),
        _ => return None,
    })
}

/// Whether any byte of a pattern is special.
pub(super) fn is_special(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// The text that a pattern spells.
pub(super) fn unquoted(pattern: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        text.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXcXb", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]x]", "]", true),
            ("[!]x]", "]", false),
            ("[a-]", "-", true),
            ("[[:digit:]_]", "7", true),
            ("[[:digit:]_]", "_", true),
            ("[[:upper:]]", "a", false),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("**", "abc", true),
            ("*a", "bab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(matches(b"\xff?", b"\xff\xfe"));
    }

    #[test]
    fn a_pattern_spells_a_path() {
        assert_eq!(unquoted(br"a\*b\\"), br"a*b\");
        assert!(is_special(b"a?") && is_special(b"[a") && !is_special(br"a\*\?"));
    }
}
