//! Names of images in registries, layouts and archives: the grammar that a base and a destination share.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::reference::Reference;
use crate::error::text::without_login;
use crate::error::{Error, Result};

/// The scheme of an OCI layout directory.
pub(crate) const LAYOUT_SCHEME: &str = "oci:";
/// The scheme of a Docker archive.
pub(crate) const ARCHIVE_SCHEME: &str = "docker-archive:";

/// The scheme of the local image store.
pub(crate) const LOCAL_SCHEME: &str = "local:";

/// The location of an image, and its name in that location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Locator {
    /// `[REGISTRY/]REPO[:TAG][@DIGEST]`
    Registry(Reference),
    /// `oci:DIR[:TAG]`
    Layout { path: PathBuf, tag: Option<String> },
    /// `docker-archive:FILE[:NAME[:TAG]]`
    Archive { path: PathBuf, name: Option<Reference> },
    /// `local:NAME[:TAG]`, or `local:ID`
    Local { name: String },
}

impl FromStr for Locator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Locator> {
        let fail = |expected| Error::Location { location: text.to_owned(), expected };
        if let Some(rest) = text.strip_prefix(LAYOUT_SCHEME) {
            let (path, tag) = split_tag(rest);
            if path.is_empty() {
                return Err(fail("a directory is required, as in oci:DIR[:TAG]"));
            }
            // The variable with the tag was empty.
            if path.ends_with(':') {
                return Err(fail("the tag after the colon is empty"));
            }
            return Ok(Locator::Layout { path: path.into(), tag: tag.map(str::to_owned) });
        }
        if let Some(rest) = text.strip_prefix(ARCHIVE_SCHEME) {
            let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
            if path.is_empty() {
                return Err(fail("a file is required, as in docker-archive:FILE[:NAME[:TAG]]"));
            }
            return Ok(Locator::Archive { path: path.into(), name: name.map(str::parse).transpose()? });
        }
        if let Some(name) = text.strip_prefix(LOCAL_SCHEME) {
            if name.is_empty() {
                return Err(fail("a name is required, as in local:NAME[:TAG]"));
            }
            name.parse::<Reference>()?;
            return Ok(Locator::Local { name: name.to_owned() });
        }
        if is_host_alone(text) {
            let location = without_login(text).into_owned();
            return Err(Error::Location {
                location,
                expected: "the repository is missing, as in REGISTRY/REPO[:TAG]",
            });
        }
        Ok(Locator::Registry(text.parse()?))
    }
}

/// Whether the text is a registry's host, without a repository. Docker would take it for an official image of Docker Hub,
/// but the names of those have no dots.
fn is_host_alone(text: &str) -> bool {
    let name = text.split(['@', ':']).next().unwrap_or_default();
    !text.contains('/') && (name.contains('.') || name == "localhost")
}

/// Splits `DIR[:TAG]`; a colon before a slash is part of the directory's path.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') && !tag.is_empty() => (path, Some(tag)),
        _ => (text, None),
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Locator::Registry(name) => name.fmt(f),
            Locator::Layout { path, tag } => {
                write!(f, "{LAYOUT_SCHEME}{}", path.display())?;
                tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
            }
            Locator::Archive { path, name } => {
                write!(f, "{ARCHIVE_SCHEME}{}", path.display())?;
                name.iter().try_for_each(|name| write!(f, ":{name}"))
            }
            Locator::Local { name } => write!(f, "{LOCAL_SCHEME}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_colon_after_the_last_slash_begins_a_tag() {
        for (text, path, tag) in [
            ("oci:dir", "dir", None),
            ("oci:dir:v1", "dir", Some("v1")),
            ("oci:a:b:v1", "a:b", Some("v1")),
            ("oci:/tmp/x:y/z", "/tmp/x:y/z", None),
            ("oci:dir:/", "dir:/", None),
        ] {
            let tag = tag.map(str::to_owned);
            assert_eq!(text.parse::<Locator>().unwrap(), Locator::Layout { path: path.into(), tag });
        }
    }

    #[test]
    fn an_empty_variable_leaves_a_location_without_a_part() {
        for (text, fault) in [
            ("oci:dir:", "the tag after the colon is empty"),
            ("oci:a:b:", "the tag after the colon is empty"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "the repository is missing"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com:v1", "the repository is missing"),
            ("public.ecr.aws", "the repository is missing"),
            ("ghcr.io@sha256:0", "the repository is missing"),
            ("127.0.0.1:5000", "the repository is missing"),
            ("localhost:5000", "the repository is missing"),
        ] {
            let error = text.parse::<Locator>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(fault) && !error.contains("docker.io"), "{error}");
        }
        let error = "us.er:s3cret@r.example".parse::<Locator>().unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        for text in ["123456789012.dkr.ecr.eu-west-1.amazonaws.com/", "r.example/:v1", "localhost:5000/"] {
            assert!(text.parse::<Locator>().is_err(), "{text}");
        }
        for text in ["python:3.12", "amazon/aws-lambda-python", "localhost/a", "r.example:5000/a"] {
            assert!(text.parse::<Locator>().is_ok(), "{text}");
        }
    }

    #[test]
    fn the_first_colon_ends_the_file_of_an_archive() {
        let name = Some("r.example:5000/n:v1".parse().unwrap());
        let archive = Locator::Archive { path: "f.tar".into(), name };
        assert_eq!("docker-archive:f.tar:r.example:5000/n:v1".parse::<Locator>().unwrap(), archive);
        assert!("docker-archive:f.tar:".parse::<Locator>().is_err());
    }
}
