//! The sources of an [`Add`](super::Add)'s files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::copy::CopyFiles;
use super::layer_arn::LayerArn;
use super::origin::Origin;
use crate::image::Digest;

/// A source of files. Each source produces sorted file trees, and each tree becomes a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A directory's content, or one file.
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Whether to apply the directory's `.lambdaignore` (else `.dockerignore`). `.git`, `.lbuild`, `lbuild.toml`
        /// and ignore files are always excluded.
        #[serde(default)]
        ignore: bool,
        /// Paths in the directory that are always excluded, such as `node_modules` if a [`Source::Npm`] installs it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
    /// A program: one file, which gets the mode 0755.
    #[serde(rename_all = "kebab-case")]
    Program {
        /// The file.
        path: PathBuf,
    },
    /// The content of a zip archive: a function's zip package, or a Lambda layer. Deflated members are copied into the
    /// layer without being compressed again.
    #[serde(rename_all = "kebab-case")]
    Zip {
        /// The archive.
        path: PathBuf,
    },
    /// The content of a version of a Lambda layer, which AWS stores.
    LambdaLayer(LambdaLayer),
    /// Files of another image, with their modes, owners and attributes.
    Image(ImageFiles),
    /// Files as `COPY` and `ADD` of a Dockerfile take them.
    Copy(CopyFiles),
    /// A directory of mode 0755, made with its missing parents unless it exists.
    #[serde(rename_all = "kebab-case")]
    EmptyDirectory {
        /// The owner of the directories that are made, as `USER` gives it. `None`: root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// The instruction.
        origin: Origin,
    },
    /// Python packages: several layers, one for each large wheel.
    Python(Python),
    /// Node packages: one layer with the `node_modules` of a lock file.
    Npm(Npm),
}

/// A version of a Lambda layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LambdaLayer {
    /// Its name.
    pub arn: LayerArn,
    /// The digest of its zip. `None`: that of which AWS tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The runtime of the image, such as `python3.12`: a layer that names other ones is warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

/// A file or directory of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFiles {
    /// The image: an earlier stage, or any other.
    pub image: Base,
    /// The absolute path in it, following its links: a file, or a directory whose content is copied.
    pub path: String,
}

/// Node packages, installed by npm, pnpm or yarn for the image's platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Npm {
    /// The directory with `package.json` and the lock file.
    pub path: PathBuf,
    /// Whether to run the packages' install scripts, which run on this machine rather than on the image's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripts: bool,
}

/// Python packages, as wheels for the image's platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Python {
    /// The packages.
    pub requirements: Requirements,
    /// The interpreter's version in the image, for example `3.12` or `3.12.9`.
    pub version: String,
    /// The version of glibc in the image, as 2 and 34; wheels that need a newer one are skipped.
    pub glibc: (u32, u32),
    /// Whether the C library of the image is musl, as on Alpine. [`glibc`](Python::glibc) does not matter then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub musl: bool,
    /// A directory of wheels, used instead of any index and the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheels: Option<PathBuf>,
    /// Whether to refuse a package without a hash in the requirements.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_hashes: bool,
    /// Whether to exclude files that a function never reads: tests, type stubs, static libraries, bytecode.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slim: bool,
    /// Whether to compile modules for the image, in separate layers.
    #[serde(default, skip_serializing_if = "Bytecode::is_never")]
    pub bytecode: Bytecode,
}

/// Whether to compile modules for the image, by an interpreter of its version on the machine that builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytecode {
    /// Never: the image then does not depend on the programs of the machine that builds.
    #[default]
    Never,
    /// If such an interpreter is installed.
    Auto,
    /// Always; it is an error if no such interpreter is installed.
    Always,
}

impl Bytecode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn is_never(&self) -> bool {
        *self == Bytecode::Never
    }
}

/// The packages to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirements {
    /// The packages of a file: `pylock.toml`, `uv.lock`, `poetry.lock` or `Pipfile.lock` by its name. Any other file is
    /// in the format of `requirements.txt`, and `uv` or `pip` resolves it.
    #[serde(rename_all = "kebab-case")]
    File {
        /// The file.
        path: PathBuf,
        /// The function's directory: in the lock of a workspace, the packages are those of the project at or above it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<PathBuf>,
    },
    /// Exactly these wheels.
    Pinned(Vec<Wheel>),
}

/// One exact wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wheel {
    /// The package's normalised name, for example `charset-normalizer`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The wheel's file name, which names its platform; or the file name of a source archive, for a package without
    /// wheels. The name of a directory, and its URL, end in a slash.
    pub file: String,
    /// Its URL: `https:`, `http:` or `file:`, without a password.
    pub url: String,
    /// The digest of its bytes, or of the content of the directory.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the requirements name the package, rather than another package that depends on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
    /// Whether the requirements name this URL, rather than an index that has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}
