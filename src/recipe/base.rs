//! The base of a stage.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{Digest, LAYOUT_SCHEME, Locator, Reference};

/// The image that a stage starts from.
///
/// As text: `scratch`, `oci:DIR[:TAG]`, `oci:DIR@DIGEST`, `docker-archive:FILE[:NAME[:TAG]]`, `local:NAME[:TAG]`, or the
/// name of an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// No files, and an empty config.
    Scratch,
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI layout directory.
    #[serde(rename_all = "kebab-case")]
    Layout {
        /// The directory.
        path: PathBuf,
        /// The image's tag in the layout; required if the layout has several images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// The manifest's digest, once pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// An image in a Docker archive.
    #[serde(rename_all = "kebab-case")]
    Archive {
        /// The file.
        path: PathBuf,
        /// The image's name in the archive; required if the archive has several images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Reference>,
        /// The digest of the manifest that a push would send, once pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// An image in the local image store.
    #[serde(rename_all = "kebab-case")]
    Local {
        /// The image's name, or its id.
        name: String,
        /// The digest of the manifest that a push would send, once pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// The result of an earlier stage, counted from 0.
    Stage(usize),
}

const SCRATCH: &str = "scratch";

impl Base {
    /// The number of the earlier stage, if the base is one.
    pub(crate) fn stage(&self) -> Option<usize> {
        match self {
            Base::Stage(number) => Some(*number),
            _ => None,
        }
    }

    /// The base with its path, if any, relative to `dir`. An absolute path is kept.
    #[must_use]
    pub fn relative_to(self, dir: &Path) -> Base {
        match self {
            Base::Layout { path, tag, digest } => Base::Layout { path: dir.join(path), tag, digest },
            Base::Archive { path, name, digest } => Base::Archive { path: dir.join(path), name, digest },
            Base::Scratch | Base::Registry(_) | Base::Local { .. } | Base::Stage(_) => self,
        }
    }
}

impl FromStr for Base {
    type Err = Error;

    fn from_str(text: &str) -> Result<Base> {
        if text == SCRATCH {
            return Ok(Base::Scratch);
        }
        // `lbuild inspect` prints an image of a layout in this form.
        if let Some((path, digest)) = text.strip_prefix(LAYOUT_SCHEME).and_then(|rest| rest.rsplit_once('@'))
            && let Ok(digest) = digest.parse()
        {
            return Ok(Base::Layout { path: path.into(), tag: None, digest: Some(digest) });
        }
        Ok(match text.parse()? {
            Locator::Registry(name) => Base::Registry(name),
            Locator::Layout { path, tag } => Base::Layout { path, tag, digest: None },
            Locator::Archive { path, name } => Base::Archive { path, name, digest: None },
            Locator::Local { name } => Base::Local { name, digest: None },
        })
    }
}

/// The text that [`FromStr`] reads. An earlier stage, and the digest of an image in an archive or in the local store, have no
/// such text: the stage is shown as `stage N`, and the digest is omitted.
impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locator = match self {
            Base::Scratch => return f.write_str(SCRATCH),
            Base::Stage(number) => return write!(f, "stage {number}"),
            Base::Layout { path, digest: Some(digest), .. } => {
                return write!(f, "{LAYOUT_SCHEME}{}@{digest}", path.display());
            }
            Base::Registry(name) => Locator::Registry(name.clone()),
            Base::Layout { path, tag, digest: None } => {
                Locator::Layout { path: path.clone(), tag: tag.clone() }
            }
            Base::Archive { path, name, .. } => Locator::Archive { path: path.clone(), name: name.clone() },
            Base::Local { name, .. } => Locator::Local { name: name.clone() },
        };
        locator.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(path: &str, tag: Option<&str>, digest: Option<Digest>) -> Base {
        Base::Layout { path: path.into(), tag: tag.map(str::to_owned), digest }
    }

    fn archive(path: &str, name: Option<&str>) -> Base {
        Base::Archive { path: path.into(), name: name.map(|name| name.parse().unwrap()), digest: None }
    }

    #[test]
    fn the_text_of_a_base_parses_to_the_same_base() {
        let digest = Digest::of(b"x");
        for (text, base) in [
            ("scratch", Base::Scratch),
            ("r.example/a:b", Base::Registry("r.example/a:b".parse().unwrap())),
            (
                &format!("r.example/a@{digest}"),
                Base::Registry(format!("r.example/a@{digest}").parse().unwrap()),
            ),
            ("oci:dir", layout("dir", None, None)),
            ("oci:dir:v1", layout("dir", Some("v1"), None)),
            ("oci:/x:y/z", layout("/x:y/z", None, None)),
            (&format!("oci:dir@{digest}"), layout("dir", None, Some(digest))),
            (&format!("oci:a:b@{digest}"), layout("a:b", None, Some(digest))),
            ("docker-archive:f.tar", archive("f.tar", None)),
            ("local:hello:v1", Base::Local { name: "hello:v1".into(), digest: None }),
            ("docker-archive:f.tar:r.example/n:v1", archive("f.tar", Some("r.example/n:v1"))),
        ] {
            assert_eq!(text.parse::<Base>().unwrap(), base, "{text}");
            assert_eq!(base.to_string(), text);
        }
        // Short names are written in full, as references are.
        assert_eq!("python".parse::<Base>().unwrap().to_string(), "docker.io/library/python:latest");
        // An `@` without a digest after it is part of the directory's name.
        assert_eq!("oci:a@b".parse::<Base>().unwrap(), layout("a@b", None, None));
    }

    #[test]
    fn a_text_that_is_not_a_base_is_refused() {
        for text in
            ["oci:", "docker-archive:", "local:", "local:UPPER", "docker-archive::n", "r.example/UPPER", ""]
        {
            assert!(text.parse::<Base>().is_err(), "{text}");
        }
        let error = "oci:".parse::<Base>().unwrap_err().to_string();
        assert_eq!(error, "invalid location `oci:`: a directory is required, as in oci:DIR[:TAG]");
    }

    #[test]
    fn paths_become_relative_to_a_directory() {
        let dir = Path::new("project");
        let moved = |text: &str| text.parse::<Base>().unwrap().relative_to(dir).to_string();
        assert_eq!(moved("oci:base:v1"), "oci:project/base:v1");
        assert_eq!(moved("docker-archive:f.tar"), "docker-archive:project/f.tar");
        assert_eq!(moved("oci:/base"), "oci:/base");
        assert_eq!(moved("scratch"), "scratch");
        assert_eq!(moved("r.example/a:b"), "r.example/a:b");
        assert_eq!(layout("x", None, None).relative_to(Path::new("")), layout("x", None, None));
    }
}
