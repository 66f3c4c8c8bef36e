//! Where an image goes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::image::{Format, Reference};

/// Where an image goes: the only door out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A repository of a registry.
    Registry {
        /// The repository; a tag in it plays no part.
        repository: Reference,
        /// The tags that shall name the image.
        tags: Vec<String>,
    },
    /// An OCI layout directory, made when it is missing.
    Layout {
        /// The directory.
        path: PathBuf,
        /// The tags that shall name the image; with none, it stands in the layout untagged.
        tags: Vec<String>,
    },
    /// A Docker archive, replaced when it is there.
    Archive {
        /// The file.
        path: PathBuf,
        /// The names that `docker load` shall give the image.
        names: Vec<Reference>,
    },
}

impl Destination {
    /// The destination with more tags; a registry's that has none else is `latest`.
    ///
    /// # Errors
    /// When a tag is not 1 to 128 of `A-Z a-z 0-9 _ . -`, or there is no repository name to put it to.
    pub fn tagged(mut self, more: &[String]) -> Result<Destination> {
        match &mut self {
            Destination::Registry { repository, tags } => {
                for tag in more {
                    repository.with_tag(tag)?;
                }
                add(tags, more);
                if tags.is_empty() {
                    tags.push("latest".to_owned());
                }
            }
            Destination::Layout { tags, .. } => add(tags, more),
            Destination::Archive { names, path } if !more.is_empty() => {
                let Some(name) = names.first().cloned() else {
                    return Err(Error::Location {
                        location: format!("docker-archive:{}", path.display()),
                        expected: "a tag needs a name before it, as docker-archive:FILE:NAME",
                    });
                };
                for tag in more {
                    let name = name.with_tag(tag)?;
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            Destination::Archive { .. } => {}
        }
        Ok(self)
    }
}

impl Destination {
    /// The format that readers of such a place expect: tools that read OCI layouts pass over Docker manifests.
    pub fn usual_format(&self) -> Format {
        match self {
            Destination::Layout { .. } => Format::Oci,
            Destination::Registry { .. } | Destination::Archive { .. } => Format::Docker,
        }
    }
}

fn add(tags: &mut Vec<String>, more: &[String]) {
    for tag in more {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
}

/// Splits `DIR[:TAG]`; a colon within a directory's name is not one.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') && !tag.is_empty() => (path, Some(tag)),
        _ => (text, None),
    }
}

impl FromStr for Destination {
    type Err = Error;

    /// `REGISTRY/REPO[:TAG]`, `oci:DIR[:TAG]`, or `docker-archive:FILE[:NAME[:TAG]]`.
    fn from_str(text: &str) -> Result<Destination> {
        let fail = |expected| Error::Location { location: text.to_owned(), expected };
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, tag) = split_tag(rest);
            if path.is_empty() {
                return Err(fail("a directory is needed, as oci:DIR[:TAG]"));
            }
            return Ok(Destination::Layout {
                path: path.into(),
                tags: tag.map(str::to_owned).into_iter().collect(),
            });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
            if path.is_empty() {
                return Err(fail("a file is needed, as docker-archive:FILE[:NAME[:TAG]]"));
            }
            let names = name.map(str::parse).transpose()?.into_iter().collect();
            return Ok(Destination::Archive { path: path.into(), names });
        }
        let repository: Reference = text.parse()?;
        if repository.digest().is_some() {
            return Err(fail("an image is pushed under a tag; its digest follows from its content"));
        }
        let last = text.rsplit('/').next().unwrap_or(text);
        let tags = if last.contains(':') { repository.tag().map(str::to_owned) } else { None };
        Ok(Destination::Registry { repository, tags: tags.into_iter().collect() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Registry { repository, .. } => f.write_str(&repository.repository_name()),
            Destination::Layout { path, .. } => write!(f, "oci:{}", path.display()),
            Destination::Archive { path, .. } => write!(f, "docker-archive:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str, more: &[&str]) -> Vec<String> {
        let more: Vec<_> = more.iter().map(|tag| tag.to_string()).collect();
        match text.parse::<Destination>().unwrap().tagged(&more).unwrap() {
            Destination::Registry { tags, .. } | Destination::Layout { tags, .. } => tags,
            Destination::Archive { names, .. } => names.iter().map(|name| name.to_string()).collect(),
        }
    }

    #[test]
    fn tags_are_those_that_were_named_else_latest() {
        assert_eq!(tags("r.example:5000/a", &[]), ["latest"]);
        assert_eq!(tags("r.example:5000/a", &["v1"]), ["v1"]);
        assert_eq!(tags("r.example:5000/a:v2", &["v1", "v2"]), ["v2", "v1"]);
        assert_eq!(tags("oci:/tmp/x:y/z", &[]), [""; 0]);
        assert_eq!(tags("oci:dir:v1", &["v2"]), ["v1", "v2"]);
        assert_eq!(
            tags("docker-archive:f.tar:r.example/n:v1", &["v2"]),
            ["r.example/n:v1", "r.example/n:v2"]
        );
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in
            ["oci:", "docker-archive:", "r.example/UPPER", &format!("r.example/a@sha256:{}", "0".repeat(64))]
        {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
        let bad_tag = ["a b".to_owned()];
        assert!("r.example/a".parse::<Destination>().unwrap().tagged(&bad_tag).is_err());
        assert!("docker-archive:f.tar".parse::<Destination>().unwrap().tagged(&bad_tag).is_err());
    }
}
