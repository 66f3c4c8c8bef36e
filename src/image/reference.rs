//! Names of images: `registry/repository:tag@digest`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Digest;
use crate::error::{Error, Result};

/// The name of an image in a registry, in Docker's short or long form.
///
/// Without tag or digest it means the tag `latest`; without a registry, Docker Hub.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reference(oci_client::Reference);

impl Reference {
    /// The registry's host, with its port when there is one.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The repository within the registry.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// `registry/repository`, with neither tag nor digest.
    pub fn repository_name(&self) -> String {
        format!("{}/{}", self.registry(), self.repository())
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, when the reference is pinned.
    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(|digest| digest.parse().ok())
    }

    /// The same repository, another tag.
    ///
    /// # Errors
    /// When `tag` is not 1 to 128 of `A-Z a-z 0-9 _ . -`, or begins with `.` or `-`.
    pub fn with_tag(&self, tag: &str) -> Result<Reference> {
        format!("{}:{tag}", self.repository_name()).parse()
    }

    /// The same name, pinned to `digest`; the tag stays for the reader.
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

    /// What a manifest request asks for: the digest when pinned, else the tag.
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
        let fail = |source| Error::Reference { reference: text.to_owned(), source };
        let reference: oci_client::Reference = text.parse().map_err(fail)?;
        match reference.digest() {
            Some(digest) if digest.parse::<Digest>().is_err() => {
                Err(fail(oci_spec::distribution::ParseError::DigestUnsupported))
            }
            _ => Ok(Reference(reference)),
        }
    }
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
    fn a_pinned_reference_keeps_its_tag_for_the_reader() {
        let reference: Reference = "127.0.0.1:5000/hello:v1".parse().unwrap();
        let digest = Digest::of(b"x");
        let pinned = reference.pinned(digest);
        assert_eq!(pinned.to_string(), format!("127.0.0.1:5000/hello:v1@{digest}"));
        assert_eq!((reference.target(), pinned.target()), ("v1".to_owned(), digest.to_string()));
        assert_eq!(pinned.to_string().parse::<Reference>().unwrap(), pinned);
    }

    #[test]
    fn short_names_mean_what_docker_means() {
        let reference: Reference = "python".parse().unwrap();
        assert_eq!(reference.to_string(), "docker.io/library/python:latest");
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_text() {
        let error = "Bad/Name:x y".parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains("Bad/Name:x y"), "{error}");
    }
}
