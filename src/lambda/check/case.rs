//! [`Subject`]: an image to check; [`Case`]: its view for the rules.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use super::facts::Fact;
use super::function::{handler, roots, task_root};
use crate::image::{Arch, Config, Descriptor, Manifest};
use crate::lambda::base::runtime_of_base;
use crate::scan::{LayerFault, LayerScan, ScannedFile, Scans, view};
use crate::tree::{self, Paths, View};

/// The scan of a layer, with the facts for the rules.
pub(super) type Scan = LayerScan<Fact>;

/// The content of a file of a scanned layer.
pub(super) type File = ScannedFile<Fact>;

/// A member of a scanned layer.
pub(super) type Member = tree::Member<File>;

/// An entry that is visible in a container, and its layer.
pub(super) type Seen<'a> = tree::Seen<'a, ScannedFile<Fact>>;

/// A file that a higher layer hides.
pub(super) type Hidden<'a> = tree::Hidden<'a, ScannedFile<Fact>>;

/// An image to check, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The layer descriptors of the manifest, lowest layer first.
    pub layers: &'a [Descriptor],
    /// The config.
    pub config: &'a Config,
    /// The number of bytes of the config, which may differ from the size in the manifest.
    pub config_size: u64,
    /// The scans of the layers, and their faults.
    pub scans: &'a Scans<Fact>,
    /// Other known facts.
    pub asked: &'a Asked,
}

/// Known facts besides the image itself.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The architecture of the function.
    pub arch: Option<Arch>,
    /// The Region of the function.
    pub region: Option<String>,
    /// The registries and repositories of the image.
    pub repositories: Vec<String>,
    /// Whether the image is in a Docker archive: the push creates the manifest and compresses the layers.
    pub in_archive: bool,
    /// Whether the name refers to an index; the image is one of its entries.
    pub in_index: bool,
    /// The current day (ISO 8601, such as `2026-11-21`).
    pub today: String,
}

impl Asked {
    /// The hosts of the registries, each once.
    pub(super) fn registries(&self) -> BTreeSet<&str> {
        let host = |name: &'_ str| name.split('/').next().map_or(0, str::len);
        self.repositories.iter().map(|name| &name[..host(name)]).collect()
    }
}

/// An image with the files that are visible in a container: the view of the rules.
pub(super) struct Case<'a> {
    pub manifest: Value,
    pub media_type: &'a str,
    pub layers: &'a [Descriptor],
    pub config: &'a Config,
    pub config_size: u64,
    pub scans: &'a [Option<Scan>],
    pub faults: &'a [LayerFault],
    pub asked: &'a Asked,
    /// The files that are visible in a container of the image.
    pub files: View<'a, ScannedFile<Fact>>,
    /// Whether a rule left out a finding because of an unknown layer.
    doubt: AtomicBool,
    /// For each layer, the index of its members by path, once a rule has asked for it.
    paths: Vec<OnceLock<Paths<'a, ScannedFile<Fact>>>>,
}

impl<'a> Case<'a> {
    pub fn of(subject: &Subject<'a>) -> Case<'a> {
        let Subject { manifest, layers, config, config_size, scans, asked } = *subject;
        let Scans { layers: scans, faults } = scans;
        Case {
            manifest: serde_json::from_slice(&manifest.bytes).unwrap_or_default(),
            media_type: &manifest.media_type,
            layers,
            config,
            config_size,
            scans,
            faults,
            asked,
            files: view(scans),
            doubt: AtomicBool::new(false),
            paths: scans.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Whether the files of the image are all known. Rules ask last, when nothing else is missing for a finding: a
    /// finding is in doubt if the answer is no.
    pub fn is_certain(&self) -> bool {
        if !self.files.complete {
            self.doubt.store(true, Relaxed);
        }
        self.files.complete
    }

    /// Whether a finding is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.load(Relaxed)
    }

    /// The known layers, with their numbers.
    pub fn known(&self) -> impl Iterator<Item = (usize, &'a Scan)> {
        self.scans.iter().enumerate().filter_map(|(number, scan)| Some((number, scan.as_ref()?)))
    }

    /// The members of a known layer by path. An unknown layer has none.
    pub fn paths(&self, layer: usize) -> &Paths<'a, ScannedFile<Fact>> {
        let members = self.scans[layer].as_ref().map_or(&[][..], |scan| &scan.members);
        self.paths[layer].get_or_init(|| Paths::of(members))
    }

    /// Whether a layer below this one is known to have an entry at a path.
    pub fn is_below(&self, layer: usize, path: &str) -> bool {
        (0..layer).any(|lower| self.paths(lower).contains(path))
    }

    /// The architecture of the function, or else that of the config.
    pub fn arch(&self) -> Option<Arch> {
        self.asked.arch.or_else(|| self.config.platform().architecture.parse().ok())
    }

    /// The directory of the function, without leading or trailing slashes; empty for the root.
    pub fn task_root(&self) -> &'a str {
        task_root(self.config)
    }

    /// The directories that may be the function's.
    pub fn roots(&self) -> Vec<&'a str> {
        roots(self.config)
    }

    /// The handler, if the image starts with the entry script of AWS's bases.
    pub fn handler(&self) -> Option<&'a str> {
        handler(self.config)
    }

    /// The runtime of one of AWS's bases (`python`, `nodejs`, `java`, `dotnet`, `ruby`, `provided`), from its files
    /// or the label that names the base.
    pub fn runtime(&self) -> Option<&'static str> {
        const SIGNS: [(&str, &str); 6] = [
            ("awslambdaric", "python"),
            ("bootstrap.py", "python"),
            ("index.mjs", "nodejs"),
            ("index.js", "nodejs"),
            ("Amazon.Lambda.RuntimeSupport.dll", "dotnet"),
            ("lambda_runtime.rb", "ruby"),
        ];
        // An OS-only base may have any runtime, with its own rules for handlers.
        let named = self.named_runtime();
        if named == Some("provided") {
            return named;
        }
        let dir = self.config.var("LAMBDA_RUNTIME_DIR").unwrap_or("/var/runtime").trim_matches('/');
        let sign = SIGNS.iter().find(|(sign, _)| self.files.get(format!("{dir}/{sign}")).is_some());
        // The file name of Java's client contains its version.
        let is_java = |name: &str| name.starts_with("aws-lambda-java-runtime");
        let has_java = || self.files.below(format!("{dir}/lib")).any(|file| is_java(file.member.name()));
        let found = sign.map(|(_, runtime)| *runtime).or_else(|| has_java().then_some("java"));
        found.or(named)
    }

    /// The runtime, from the label that names the base.
    fn named_runtime(&self) -> Option<&'static str> {
        runtime_of_base(self.config.label("org.opencontainers.image.base.name")?)
    }
}
