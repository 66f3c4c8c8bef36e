//! Paths in an image: bytes that are nearly always printable text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::text::is_control;

/// The maximum length of a path's text, in bytes: twice the limit of Linux, so that a path beyond that limit is
/// visible.
const MAX_TEXT: usize = 8192;

/// A path in an image. It is compared and resolved by its bytes, and displayed as printable text: bytes that are not
/// UTF-8 and control characters appear there as `\xNN`, marks of the direction of writing as `\u{NNNN}`.
#[derive(Clone)]
pub struct ImagePath(Form);

/// Two machine words, because scans hold a path for each of many files.
#[derive(Clone)]
enum Form {
    /// The text, whose bytes are those of the path.
    Plain(Box<str>),
    Escaped(Box<Escaped>),
}

#[derive(Clone)]
struct Escaped {
    text: Box<str>,
    bytes: Box<[u8]>,
}

const _: () = assert!(size_of::<ImagePath>() == size_of::<Box<str>>());

impl ImagePath {
    /// The path of these bytes.
    pub fn new(bytes: &[u8]) -> ImagePath {
        let text = printable(bytes).into_boxed_str();
        ImagePath(match text.as_bytes() == bytes {
            true => Form::Plain(text),
            false => Form::Escaped(Box::new(Escaped { text, bytes: bytes.into() })),
        })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Plain(text) => text.as_bytes(),
            Form::Escaped(escaped) => &escaped.bytes,
        }
    }

    /// The printable text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Plain(text) => text,
            Form::Escaped(escaped) => &escaped.text,
        }
    }

    /// The lengths of its allocations, in bytes.
    pub(crate) fn allocations(&self) -> [usize; 3] {
        match &self.0 {
            Form::Plain(text) => [text.len(), 0, 0],
            Form::Escaped(escaped) => [size_of::<Escaped>(), escaped.text.len(), escaped.bytes.len()],
        }
    }
}

impl PartialEq for ImagePath {
    fn eq(&self, path: &ImagePath) -> bool {
        self.as_bytes() == path.as_bytes()
    }
}

impl Eq for ImagePath {}

impl PartialOrd for ImagePath {
    fn partial_cmp(&self, path: &ImagePath) -> Option<Ordering> {
        Some(self.cmp(path))
    }
}

impl Ord for ImagePath {
    fn cmp(&self, path: &ImagePath) -> Ordering {
        self.as_bytes().cmp(path.as_bytes())
    }
}

impl Hash for ImagePath {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_bytes().hash(hasher);
    }
}

impl Deref for ImagePath {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl AsRef<[u8]> for ImagePath {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&str> for ImagePath {
    fn from(text: &str) -> ImagePath {
        ImagePath::new(text.as_bytes())
    }
}

impl PartialEq<str> for ImagePath {
    fn eq(&self, path: &str) -> bool {
        self.as_bytes() == path.as_bytes()
    }
}

impl PartialEq<&str> for ImagePath {
    fn eq(&self, path: &&str) -> bool {
        *self == **path
    }
}

impl From<&ImagePath> for String {
    fn from(path: &ImagePath) -> String {
        path.as_str().to_owned()
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> String {
        match path.0 {
            Form::Plain(text) => text.into_string(),
            Form::Escaped(escaped) => escaped.text.into_string(),
        }
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ImagePath, D::Error> {
        deserializer.deserialize_any(as_text::TextOrBytes(ImagePath::new))
    }
}

/// Bytes as printable text, truncated to the first [`MAX_TEXT`] bytes.
pub fn printable(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_TEXT)];
    // Without an early exit the compiler vectorises the check.
    if bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes.utf8_chunks().fold(String::with_capacity(bytes.len()), |mut text, chunk| {
        for letter in chunk.valid().chars() {
            match is_control(letter) {
                true if letter > '\u{ff}' => text.extend(letter.escape_unicode()),
                true => text.push_str(&format!("\\x{:02x}", u32::from(letter))),
                false => text.push(letter),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

/// Lowercase hexadecimal digits of the bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|_| pair.len() == 2)?, 16).ok())
        .collect()
}

/// Bytes in JSON: a string if they are UTF-8, else an array of numbers.
pub(super) mod as_text {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(bytes),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_any(TextOrBytes(<[u8]>::to_vec))
    }

    /// Makes a value from the bytes, without an intermediate string.
    pub(super) struct TextOrBytes<T>(pub(super) fn(&[u8]) -> T);

    impl<'de, T> Visitor<'de> for TextOrBytes<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string, or an array of bytes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            Ok(self.0(text.as_bytes()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<T, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = numbers.next_element()? {
                bytes.push(byte);
            }
            Ok(self.0(&bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_printable_and_the_bytes_are_kept() {
        for (bytes, text) in [
            (&b"var/task/app.py"[..], "var/task/app.py"),
            ("\u{e9}t\u{e9}".as_bytes(), "\u{e9}t\u{e9}"),
            (b"a\xffb", "a\\xffb"),
            (b"a\x1b[1m", "a\\x1b[1m"),
            ("a\u{202e}b\u{61c}".as_bytes(), "a\\u{202e}b\\u{61c}"),
        ] {
            let path = ImagePath::new(bytes);
            assert_eq!((path.as_bytes(), path.as_str()), (bytes, text));
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<ImagePath>(&json).unwrap(), path, "{json}");
        }
    }

    #[test]
    fn a_path_with_a_literal_escape_is_another_path() {
        assert_ne!(ImagePath::new(b"a\xffb"), ImagePath::new(b"a\\xffb"));
        let long = vec![b'a'; 2 * MAX_TEXT];
        let path = ImagePath::new(&long);
        assert_eq!((path.as_str().len(), path.as_bytes().len()), (MAX_TEXT, 2 * MAX_TEXT));
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex(&hex(b"\x00\xfe")).as_deref(), Some(&b"\x00\xfe"[..]));
        assert_eq!((unhex("0"), unhex("0g"), unhex("")), (None, None, Some(Vec::new())));
    }
}
