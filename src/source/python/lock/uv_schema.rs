//! The tables of `uv.lock`: <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>

use std::collections::BTreeMap;

use serde::Deserialize;

/// A lock file of uv.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UvLock {
    pub(super) version: u32,
    pub(super) requires_python: Option<String>,
    /// The environments that the lock covers; empty if it covers all (`tool.uv.environments`).
    #[serde(default)]
    pub(super) supported_markers: Vec<String>,
    /// Extras and groups that exclude each other (`tool.uv.conflicts`).
    #[serde(default)]
    pub(super) conflicts: Vec<toml::Value>,
    #[serde(default)]
    pub(super) manifest: UvManifest,
    #[serde(default, rename = "package")]
    pub(super) packages: Vec<UvPackage>,
}

#[derive(Default, Deserialize)]
pub(super) struct UvManifest {
    /// The members of the workspace; empty if the lock is that of a single project.
    #[serde(default)]
    pub(super) members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UvPackage {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: String,
    pub(super) source: UvSource,
    #[serde(default)]
    pub(super) resolution_markers: Vec<String>,
    #[serde(default)]
    pub(super) dependencies: Vec<UvDependency>,
    #[serde(default)]
    pub(super) optional_dependencies: BTreeMap<String, Vec<UvDependency>>,
    /// The dependency groups.
    #[serde(default)]
    pub(super) dev_dependencies: BTreeMap<String, Vec<UvDependency>>,
    #[serde(default)]
    pub(super) metadata: UvMetadata,
    #[serde(default)]
    pub(super) wheels: Vec<UvArtifact>,
    pub(super) sdist: Option<UvArtifact>,
}

/// What the project's file asks for, as it was when the lock was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UvMetadata {
    #[serde(default)]
    pub(super) requires_dist: Vec<UvRequirement>,
    #[serde(default)]
    pub(super) requires_dev: BTreeMap<String, Vec<UvRequirement>>,
    /// Extras that have no requirements are named here only.
    #[serde(default)]
    pub(super) provides_extras: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct UvRequirement {
    pub(super) name: String,
    pub(super) specifier: Option<String>,
}

/// The origin of a package.
#[derive(Deserialize, PartialEq, Eq, Clone)]
#[serde(from = "BTreeMap<String, toml::Value>")]
pub(super) enum UvSource {
    Registry(String),
    Url(String),
    Path(String),
    Directory(String),
    Editable(String),
    Virtual(String),
    Git(String),
    /// A directory within an archive.
    Subdirectory(String, String),
    /// An unsupported origin: an error only if the package is needed.
    Unknown,
}

#[derive(Deserialize)]
pub(super) struct UvDependency {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) source: Option<UvSource>,
    #[serde(default)]
    pub(super) extra: Vec<String>,
    pub(super) marker: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct UvArtifact {
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) filename: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) size: Option<u64>,
}

impl From<BTreeMap<String, toml::Value>> for UvSource {
    fn from(table: BTreeMap<String, toml::Value>) -> UvSource {
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        if let Some(dir) = text("subdirectory") {
            let archive = ["url", "path"].iter().find_map(|kind| text(kind));
            return archive.map_or(UvSource::Unknown, |archive| UvSource::Subdirectory(archive, dir));
        }
        let found = table.iter().find_map(|(kind, value)| {
            let text = value.as_str()?.to_owned();
            Some(match kind.as_str() {
                "registry" => UvSource::Registry(text),
                "url" => UvSource::Url(text),
                "path" => UvSource::Path(text),
                "directory" => UvSource::Directory(text),
                "editable" => UvSource::Editable(text),
                "virtual" => UvSource::Virtual(text),
                "git" => UvSource::Git(text),
                _ => return None,
            })
        });
        found.unwrap_or(UvSource::Unknown)
    }
}

impl UvSource {
    /// The directory of a project, relative to the lock.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            UvSource::Virtual(dir) | UvSource::Editable(dir) | UvSource::Directory(dir) => Some(dir),
            _ => None,
        }
    }

    /// Whether it is a directory that uv installs as an editable package.
    pub(super) fn is_editable(&self) -> bool {
        matches!(self, UvSource::Editable(_))
    }

    /// The reason why lbuild does not install the package, if any.
    pub(super) fn unbuilt(&self) -> Option<&'static str> {
        match self {
            UvSource::Git(_) => Some("it is in a git repository, and would have to be built"),
            UvSource::Subdirectory(..) => {
                Some("it is a directory of an archive, which would have to be built")
            }
            UvSource::Unknown => Some("it has a source that lbuild does not know"),
            _ => None,
        }
    }
}
