//! Text files as the programs of all systems write them.
//!
//! PowerShell's `>` and some editors of Windows write UTF-16, or UTF-8 with a byte order mark. pip, uv, npm and git
//! accept some of these each; lbuild reads all of them in every text file that users write.

use std::path::Path;

use crate::error::{Error, Result};

/// The text of a file's bytes, without a byte order mark.
///
/// # Errors
/// A fault for bytes that are neither UTF-8 nor UTF-16.
pub fn decode(bytes: Vec<u8>) -> std::result::Result<String, &'static str> {
    String::from_utf8(recoded(bytes)?).map_err(|_| "it is neither in UTF-8 nor in UTF-16")
}

/// The bytes in UTF-8, without a byte order mark; bytes of an unknown encoding are returned as they are.
///
/// UTF-16 is recognised by its byte order mark, or by the NUL bytes of its first characters: every text file that lbuild
/// reads begins with an ASCII character.
///
/// # Errors
/// A fault for UTF-16 with invalid characters, and for UTF-32.
pub fn recoded(mut bytes: Vec<u8>) -> std::result::Result<Vec<u8>, &'static str> {
    match bytes[..] {
        [0xEF, 0xBB, 0xBF, ..] => Ok(bytes.split_off(3)),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Err("it is in UTF-32, not in UTF-8"),
        [0xFF, 0xFE, ref rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, ref rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [1..=255, 0, 1..=255, 0, ..] => utf_16(&bytes, u16::from_le_bytes),
        [0, 1..=255, 0, 1..=255, ..] => utf_16(&bytes, u16::from_be_bytes),
        _ => Ok(bytes),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> std::result::Result<Vec<u8>, &'static str> {
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err("it ends within a character of UTF-16");
    }
    let units: Vec<u16> = pairs.map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).map(String::into_bytes).map_err(|_| "it is not valid UTF-16")
}

/// The text of the file at `path`.
///
/// # Errors
/// [`Error::Read`] for a file that cannot be read, [`Error::NotText`] for one that is not text.
pub fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    decode(bytes).map_err(|fault| Error::NotText { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_windows_tools_is_read() {
        let text = "a==1 # é𝄞\r\n";
        let utf_16 = |of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<_>>();
        let (little, big) = (utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes));
        for (name, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("UTF-8 with a mark", [b"\xEF\xBB\xBF", text.as_bytes()].concat()),
            ("little-endian", [b"\xFF\xFE", &little[..]].concat()),
            ("big-endian", [b"\xFE\xFF", &big[..]].concat()),
            ("little-endian without a mark", little.clone()),
            ("big-endian without a mark", big.clone()),
        ] {
            assert_eq!(decode(bytes).as_deref(), Ok(text), "{name}");
        }
        assert_eq!(recoded(b"caf\xE9".to_vec()).as_deref(), Ok(&b"caf\xE9"[..]));
        for empty in [&b""[..], b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"] {
            assert_eq!(decode(empty.to_vec()).as_deref(), Ok(""));
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        for (bytes, fault) in [
            (&b"caf\xE9"[..], "neither in UTF-8 nor in UTF-16"),
            (b"\xFF\xFEa", "ends within a character"),
            (b"\xFF\xFE\x00\xD8a\x00", "not valid UTF-16"),
            (b"\xFF\xFE\x00\x00a\x00\x00\x00", "UTF-32"),
        ] {
            assert!(decode(bytes.to_vec()).unwrap_err().contains(fault), "{bytes:?}");
        }
    }
}
