//! Files as `COPY` and `ADD` of a Dockerfile take them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::origin::Origin;
use crate::image::Digest;

/// The files of a `COPY` or `ADD`: one layer.
///
/// Whether the step's path is a directory depends on the image so far, on a slash at its end, and on the sources; the
/// rules are those of the [Dockerfile reference](https://docs.docker.com/reference/dockerfile/#copy).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CopyFiles {
    /// The sources, in order: a file replaces an earlier one of the same path.
    pub sources: Vec<CopySource>,
    /// `USER[:GROUP]`, each a number or a name in the image's `/etc/passwd` or `/etc/group`. `None`: 0:0, or the owner
    /// in the source image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// An octal mode or a symbolic one, as of chmod. `None`: the mode of the source; 0600 for a URL, 0644 for a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Patterns of `.dockerignore` relative to each source, for files that are not copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether the path of a source is kept below the step's path: the part after the first `/./`, else all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parents: bool,
    /// Whether the layer is made without looking at the image so far, whose links at the step's path it replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link: bool,
    /// The instruction.
    pub origin: Origin,
}

/// One source of a `COPY` or `ADD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopySource {
    /// Files of a directory on this machine.
    Context {
        /// The directory.
        context: BuildContext,
        /// The path in it, or a pattern of Go's `filepath.Match`; `.` is the directory itself.
        path: String,
        /// Whether a file that is an archive is unpacked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unpack: bool,
    },
    /// Files of an image, with their modes and owners.
    Image {
        /// The image: an earlier stage, or any other.
        image: Base,
        /// The absolute path in it, or a pattern.
        path: String,
    },
    /// A file that is downloaded, and named after the last part of the URL's path.
    Url {
        /// The URL, `http:` or `https:`.
        url: String,
        /// The digest of its content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<Digest>,
        /// Whether it is unpacked if it is an archive.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unpack: bool,
    },
    /// A file with this content.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// A directory with the files of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildContext {
    /// The directory.
    pub path: PathBuf,
    /// Ignore files in the format of `.dockerignore`; the first that exists is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<PathBuf>,
}

impl CopyFiles {
    /// The files of one source, as they are.
    pub(crate) fn of(source: CopySource, origin: Origin) -> CopyFiles {
        CopyFiles {
            sources: vec![source],
            owner: None,
            mode: None,
            exclude: Vec::new(),
            parents: false,
            link: false,
            origin,
        }
    }
}

impl CopySource {
    /// The image that the files are in.
    pub(super) fn image(&self) -> Option<&Base> {
        match self {
            CopySource::Image { image, .. } => Some(image),
            CopySource::Context { .. } | CopySource::Url { .. } | CopySource::Inline { .. } => None,
        }
    }
}
