//! The destination of an image.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::image::{ARCHIVE_SCHEME, Format, LAYOUT_SCHEME, LOCAL_SCHEME, Locator, Reference, is_tag};

/// The destination of an image: a registry, an OCI layout, a Docker archive or the local image store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A repository of a registry.
    Registry {
        /// The repository; a tag in it is ignored.
        repository: Reference,
        /// The tags of the image.
        tags: Vec<String>,
    },
    /// An OCI layout directory; created if it does not exist.
    Layout {
        /// The directory.
        path: PathBuf,
        /// The tags of the image; if empty, the image is untagged in the layout.
        tags: Vec<String>,
    },
    /// A Docker archive; an existing file is replaced.
    Archive {
        /// The file.
        path: PathBuf,
        /// The names that `docker load` gives the image.
        names: Vec<Reference>,
    },
    /// The local image store.
    Local {
        /// The names of the image; if empty, it has its id only.
        names: Vec<Reference>,
    },
}

impl Destination {
    /// The destination with more tags. In a registry, an image without tags gets `latest`.
    ///
    /// # Errors
    /// When a tag is not 1 to 128 characters of `A-Z a-z 0-9 _ . -`, or an archive has no name to add the tag to.
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
            Destination::Layout { path, tags } => {
                add(tags, more);
                // The same tags as in a registry: they can be asked for, and copied there.
                if let Some(tag) = tags.iter().find(|tag| !is_tag(tag)) {
                    return Err(Error::Location {
                        location: format!("{LAYOUT_SCHEME}{}:{tag}", path.display()),
                        expected: "a tag is 1 to 128 characters of A-Z a-z 0-9 _ . -, and begins with none of . -",
                    });
                }
            }
            Destination::Archive { names, path } if !more.is_empty() => {
                if names.is_empty() {
                    return Err(Error::Location {
                        location: format!("{ARCHIVE_SCHEME}{}", path.display()),
                        expected: "a tag needs a name before it, as docker-archive:FILE:NAME",
                    });
                }
                name_more(names, more)?;
            }
            Destination::Local { names } => name_more(names, more)?,
            Destination::Archive { .. } => {}
        }
        Ok(self)
    }

    /// The format that readers of the destination expect: tools that read OCI layouts ignore Docker manifests.
    pub fn usual_format(&self) -> Format {
        match self {
            Destination::Layout { .. } => Format::Oci,
            Destination::Registry { .. } | Destination::Archive { .. } | Destination::Local { .. } => {
                Format::Docker
            }
        }
    }
}

/// Adds the first name with these tags.
fn name_more(names: &mut Vec<Reference>, tags: &[String]) -> Result<()> {
    let Some(first) = names.first().cloned() else { return Ok(()) };
    for tag in tags {
        let name = first.with_tag(tag)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(())
}

fn add(tags: &mut Vec<String>, more: &[String]) {
    for tag in more {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
}

impl FromStr for Destination {
    type Err = Error;

    /// `REGISTRY/REPO[:TAG]`, `oci:DIR[:TAG]`, `docker-archive:FILE[:NAME[:TAG]]`, or `local:NAME[:TAG]`.
    fn from_str(text: &str) -> Result<Destination> {
        let repository = match text.parse()? {
            Locator::Layout { path, tag } => {
                return Ok(Destination::Layout { path, tags: tag.into_iter().collect() });
            }
            Locator::Archive { path, name } => {
                return Ok(Destination::Archive { path, names: name.into_iter().collect() });
            }
            Locator::Local { name } => {
                return Ok(Destination::Local { names: vec![name.parse()?] });
            }
            Locator::Registry(repository) => repository,
        };
        if repository.digest().is_some() {
            let expected = "an image is pushed under a tag; its digest follows from its content";
            return Err(Error::Location { location: text.to_owned(), expected });
        }
        // A parsed reference without a tag has the tag `latest`; here `tagged` may add the tags later.
        let last = text.rsplit('/').next().unwrap_or(text);
        let tags = if last.contains(':') { repository.tag().map(str::to_owned) } else { None };
        Ok(Destination::Registry { repository, tags: tags.into_iter().collect() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Registry { repository, .. } => f.write_str(&repository.repository_name()),
            Destination::Layout { path, .. } => write!(f, "{LAYOUT_SCHEME}{}", path.display()),
            Destination::Archive { path, .. } => write!(f, "{ARCHIVE_SCHEME}{}", path.display()),
            Destination::Local { names } => {
                let name = names.first().map(ToString::to_string).unwrap_or_default();
                write!(f, "{LOCAL_SCHEME}{name}")
            }
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
            Destination::Archive { names, .. } | Destination::Local { names } => {
                names.iter().map(|name| name.to_string()).collect()
            }
        }
    }

    #[test]
    fn an_image_has_the_named_tags_or_latest() {
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
    fn a_text_that_is_not_a_destination_is_refused() {
        for text in
            ["oci:", "docker-archive:", "r.example/UPPER", &format!("r.example/a@sha256:{}", "0".repeat(64))]
        {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
        let layout = |text: &str, tag: &str| text.parse::<Destination>().unwrap().tagged(&[tag.to_owned()]);
        for tag in ["", "feature/x", "-x", "a b", "a:b", &"t".repeat(129)] {
            let error = layout("oci:dir", tag).unwrap_err().to_string();
            assert!(error.contains("a tag is 1 to 128 characters"), "{error}");
        }
        assert!("oci:dir:a b".parse::<Destination>().unwrap().tagged(&[]).is_err());
        assert!(layout("oci:dir:v1", "v1.0_x-y").is_ok());
        let bad_tag = ["a b".to_owned()];
        assert!("r.example/a".parse::<Destination>().unwrap().tagged(&bad_tag).is_err());
        assert!("docker-archive:f.tar".parse::<Destination>().unwrap().tagged(&bad_tag).is_err());
    }
}
