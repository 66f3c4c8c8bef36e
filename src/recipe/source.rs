//! Where the files of an [`Add`](super::Add) come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::base::Base;
use crate::image::Digest;

/// Where files come from. Each source becomes sorted file trees, and each tree a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A directory's content, or one file.
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Whether `.lambdaignore` (else `.dockerignore`) in the directory says what stays out. `.git`,
        /// `.lbuild`, `lbuild.toml` and ignore files stay out in any case.
        #[serde(default)]
        ignore: bool,
        /// Paths in the directory that stay out in any case, as `node_modules` where a [`Source::Npm`] brings it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
    /// What a zip archive holds: a function's zip package, or a Lambda layer's. What is deflated there goes into
    /// the layer as it is, without being compressed anew.
    #[serde(rename_all = "kebab-case")]
    Zip {
        /// The archive.
        path: PathBuf,
    },
    /// Files of another image, with their modes, owners and attributes.
    Image(ImageFiles),
    /// Python packages: several layers, one for each large wheel.
    Python(Python),
    /// Node packages: one layer with the `node_modules` that a lock file names.
    Npm(Npm),
}

/// A file or directory of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFiles {
    /// The image: an earlier stage, or any other.
    pub image: Base,
    /// The absolute path in it, through its links. The content of a directory is taken, or a file.
    pub path: String,
}

/// Node packages, as npm or pnpm installs them for the image's own platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Npm {
    /// The directory with `package.json` and the lock file.
    pub path: PathBuf,
    /// Whether the packages' install scripts run, on this machine and not the image's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripts: bool,
}

/// Python packages, as wheels for the image's own platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Python {
    /// Which packages.
    pub requirements: Requirements,
    /// The interpreter's version in the image, as `3.12` or `3.12.9`.
    pub version: String,
    /// The version of glibc in the image, as 2 and 34: wheels that need a newer one are not taken.
    pub glibc: (u32, u32),
    /// A directory of wheels; with it, no index and no network is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheels: Option<PathBuf>,
    /// Whether a package without a hash in the requirements is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_hashes: bool,
    /// Whether what a function never reads stays out: tests, type stubs, static libraries, bytecode.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slim: bool,
    /// Whether modules are compiled for the image, in layers of their own.
    #[serde(default, skip_serializing_if = "Bytecode::is_never")]
    pub bytecode: Bytecode,
}

/// Whether modules are compiled for the image, by an interpreter of its version on the machine that builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytecode {
    /// No: the image then does not depend on what is installed where it is built.
    #[default]
    Never,
    /// When there is such an interpreter.
    Auto,
    /// It is an error if there is none.
    Always,
}

impl Bytecode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_never(&self) -> bool {
        *self == Bytecode::Never
    }
}

/// Which packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirements {
    /// What a file asks for: `pylock.toml`, `uv.lock`, `poetry.lock` or `Pipfile.lock` by its name; any other is in
    /// the format of `requirements.txt`, and `uv` or `pip` resolves it.
    #[serde(rename_all = "kebab-case")]
    File {
        /// The file.
        path: PathBuf,
    },
    /// Exactly these.
    Pinned(Vec<Wheel>),
}

/// One wheel, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wheel {
    /// The package's normalised name, as `charset-normalizer`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The wheel's file name, which says what it is for; or that of a source archive, for a package without wheels.
    pub file: String,
    /// Where it is: `https:`, `http:` or `file:`, without any password.
    pub url: String,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the package was asked for by name, rather than needed by another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
    /// Whether it was asked for by this very address, rather than found in an index.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}
