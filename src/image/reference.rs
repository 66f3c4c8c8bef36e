//! Names of images: `registry/repository:tag@digest`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use oci_spec::distribution::ParseError;

use super::digest::Digest;
use crate::error::text::without_login;
use crate::error::{Error, Result};

/// The name of an image in a registry, in Docker's short or long form.
///
/// Without tag or digest it means the tag `latest`; without a registry, Docker Hub.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reference(oci_client::Reference);

impl Reference {
    /// The registry's host, with its port if there is one.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The repository within the registry.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// `registry/repository`, without tag and digest.
    pub fn repository_name(&self) -> String {
        format!("{}/{}", self.registry(), self.repository())
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if the reference is pinned.
    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(|digest| digest.parse().ok())
    }

    /// The same repository with another tag.
    ///
    /// # Errors
    /// When `tag` is not 1 to 128 of `A-Z a-z 0-9 _ . -`, or begins with `.` or `-`.
    pub fn with_tag(&self, tag: &str) -> Result<Reference> {
        match is_tag(tag) {
            true => format!("{}:{tag}", self.repository_name()).parse(),
            false => Err(Error::Reference {
                reference: format!("{}:{}", self.repository_name(), without_login(tag)),
                source: ParseError::TagInvalidFormat,
            }),
        }
    }

    /// The same name, pinned to `digest`; the tag is kept for display.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Reference {
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        Reference(match self.tag() {
            Some(tag) => oci_client::Reference::with_tag_and_digest(
                registry,
                repository,
                tag.into(),
                digest.to_string(),
            ),
            None => oci_client::Reference::with_digest(registry, repository, digest.to_string()),
        })
    }

    /// The target of a manifest request: the digest if pinned, else the tag.
    pub(crate) fn target(&self) -> String {
        match self.digest() {
            Some(digest) => digest.to_string(),
            None => self.tag().unwrap_or("latest").to_owned(),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference> {
        let parsed = parse(text);
        parsed.map_err(|source| {
            // The name is refused, but a login in it must not be in the message.
            let reference = without_login(text).into_owned();
            Error::Reference { reference, source }
        })
    }
}

/// The grammar of Docker's names: <https://pkg.go.dev/github.com/distribution/reference>. It is parsed by hand, because
/// its regular expression takes 30 ms to compile, which is longer than the rest of an unchanged push.
fn parse(text: &str) -> std::result::Result<Reference, ParseError> {
    let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match named[last..].find(':') {
        Some(colon) => (&named[..last + colon], Some(&named[last + colon + 1..])),
        None => (named, None),
    };
    let (registry, path) = split_registry(name);
    let repository = match (registry, path.contains('/')) {
        (DOCKER_HUB, false) => format!("library/{path}"),
        _ => path.to_owned(),
    };
    if path.is_empty() {
        return Err(ParseError::NameEmpty);
    }
    if repository.len() > 255 {
        return Err(ParseError::NameTooLong);
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ParseError::NameContainsUppercase);
    }
    if !is_registry(registry) || !path.split('/').all(is_path_component) {
        return Err(ParseError::ReferenceInvalidFormat);
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(ParseError::TagInvalidFormat);
    }
    if digest.is_some_and(|digest| digest.parse::<Digest>().is_err()) {
        return Err(ParseError::DigestUnsupported);
    }
    let (registry, tag) = (registry.to_owned(), tag.map(str::to_owned));
    Ok(Reference(match (tag, digest.map(str::to_owned)) {
        (Some(tag), Some(digest)) => {
            oci_client::Reference::with_tag_and_digest(registry, repository, tag, digest)
        }
        (None, Some(digest)) => oci_client::Reference::with_digest(registry, repository, digest),
        (tag, None) => {
            oci_client::Reference::with_tag(registry, repository, tag.unwrap_or_else(|| "latest".to_owned()))
        }
    }))
}

const DOCKER_HUB: &str = "docker.io";

/// The part before the first slash is a registry if it cannot be part of a repository's name.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DOCKER_HUB, path),
        Some((first, path))
            if first == "localhost"
                || first.bytes().any(|b| matches!(b, b'.' | b':') || b.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DOCKER_HUB, name),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match address {
        Some(address) => address.contains(':') && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(label),
    };
    host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Letters and digits in lower case, with `.`, `_`, `__` or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separators = text.split(|c: char| c.is_ascii() && is_word(c as u8));
    let ends = text.bytes().next().is_some_and(is_word) && text.bytes().next_back().is_some_and(is_word);
    ends && separators
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

/// Whether the text is a valid tag of a registry.
pub(crate) fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && bytes.next().is_some_and(is_word)
        && bytes.all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Reference, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_reference_keeps_its_tag() {
        let reference: Reference = "127.0.0.1:5000/hello:v1".parse().unwrap();
        let digest = Digest::of(b"x");
        let pinned = reference.pinned(digest);
        assert_eq!(pinned.to_string(), format!("127.0.0.1:5000/hello:v1@{digest}"));
        assert_eq!((reference.target(), pinned.target()), ("v1".to_owned(), digest.to_string()));
        assert_eq!(pinned.to_string().parse::<Reference>().unwrap(), pinned);
    }

    #[test]
    fn short_names_are_expanded_as_by_docker() {
        let reference: Reference = "python".parse().unwrap();
        assert_eq!(reference.to_string(), "docker.io/library/python:latest");
    }

    /// Compares with oci-client's parser, except for names that it parses unlike Docker: `[::1]:5000`, and names with
    /// capitals in the first component, which must be a registry.
    #[test]
    fn names_are_parsed_as_by_oci_client() {
        let long = format!("r.example/{}", "a/".repeat(130));
        let digest = Digest::of(b"x");
        for text in [
            "python",
            "python:3.12",
            "a/b",
            "a/b:c",
            "localhost/a",
            "localhost:5000/a",
            "localhost:5000",
            "r.example/a__b-c.d",
            "r.example/a___b",
            "r.example/a--b",
            "r.example/a.-b",
            "r.example/-a",
            "r.example/a-",
            "r.example//a",
            "/a",
            "a/",
            "",
            "r.example",
            "r.example/",
            "r.example:x/a",
            "-r.example/a",
            "r..example/a",
            "a/UPPER",
            "r.example/a:",
            "r.example/a:.b",
            "r.example/a:b.c-D_e",
            "r.example/a b",
            "r.example/é",
            "index.docker.io/a",
            "docker.io/a/b",
            &long,
            &format!("r.example/a:{}", "t".repeat(128)),
            &format!("r.example/a:{}", "t".repeat(129)),
            &format!("a@{digest}"),
            &format!("r.example/a:b@{digest}"),
            "a@sha256:abc",
            "a@b@c",
            "a:b:c",
            "127.0.0.1:5/a:b/c",
        ] {
            let (ours, theirs) = (text.parse::<Reference>(), text.parse::<oci_client::Reference>());
            assert_eq!(
                ours.as_ref().ok().map(|r| r.0.whole()),
                theirs.as_ref().ok().map(|r| r.whole()),
                "{text}"
            );
        }
        assert_eq!("[::1]:5000/a".parse::<Reference>().unwrap().registry(), "[::1]:5000");
    }

    #[test]
    fn an_invalid_name_is_refused_and_quoted() {
        let error = "Bad/Name:x y".parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains("Bad/Name:x y"), "{error}");
    }
}
