//! An image as the rules see it.

use serde_json::Value;

use super::facts::Fact;
use super::function::{handler, roots, task_root};
use crate::image::{Arch, Config, Descriptor, Manifest};
use crate::lambda::base::runtime_of_base;
use crate::scan::{LayerScan, ScannedFile, view};
use crate::tree::{self, View};

/// The scan of a layer with the facts that rules look at.
pub(super) type Scan = LayerScan<Fact>;

/// A member of such a layer.
pub(super) type Member = tree::Member<ScannedFile<Fact>>;

/// An entry that a container sees, and its layer.
pub(super) type Seen<'a> = tree::Seen<'a, ScannedFile<Fact>>;

/// An image that is to be judged, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What the manifest says of each layer, lowest first.
    pub layers: &'a [Descriptor],
    /// Its config.
    pub config: &'a Config,
    /// What each layer holds; `None` where nobody knows.
    pub scans: &'a [Option<LayerScan<Fact>>],
    /// What else is known.
    pub asked: &'a Asked,
}

/// What is known besides the image itself.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The architecture that the function shall have.
    pub arch: Option<Arch>,
    /// The Region that the function shall be in.
    pub region: Option<String>,
    /// The image's registry, with its repository.
    pub repository: Option<String>,
    /// Whether the image is in a Docker archive: who pushes it from there makes its manifest, and compresses its layers.
    pub in_archive: bool,
    /// Whether the name led to an index, of which this image is one entry.
    pub in_index: bool,
    /// The day, as `2026-11-21`.
    pub today: String,
}

/// An image as the rules see it.
pub(super) struct Case<'a> {
    pub manifest: Value,
    pub media_type: &'a str,
    pub layers: &'a [Descriptor],
    pub config: &'a Config,
    pub scans: &'a [Option<Scan>],
    pub asked: &'a Asked,
    /// What a container of the image sees.
    pub files: View<'a, ScannedFile<Fact>>,
}

impl<'a> Case<'a> {
    pub fn of(subject: &Subject<'a>) -> Case<'a> {
        let Subject { manifest, layers, config, scans, asked } = *subject;
        Case {
            manifest: serde_json::from_slice(&manifest.bytes).unwrap_or_default(),
            media_type: &manifest.media_type,
            layers,
            config,
            scans,
            asked,
            files: view(scans),
        }
    }

    /// The layers that are known, by number.
    pub fn known(&self) -> impl Iterator<Item = (usize, &'a Scan)> {
        self.scans.iter().enumerate().filter_map(|(number, scan)| Some((number, scan.as_ref()?)))
    }

    /// The architecture that the function shall have, or else the one that the config names.
    pub fn arch(&self) -> Option<Arch> {
        self.asked.arch.or_else(|| self.config.platform().architecture.parse().ok())
    }

    /// The directory of the function, without a slash at either end: nothing for the root.
    pub fn task_root(&self) -> &'a str {
        task_root(self.config)
    }

    /// The directories that may be the function's.
    pub fn roots(&self) -> Vec<&'a str> {
        roots(self.config)
    }

    /// The handler, when the image starts with the entry script of AWS's bases, which takes one.
    pub fn handler(&self) -> Option<&'a str> {
        handler(self.config)
    }

    /// The runtime of one of AWS's bases (`python`, `nodejs`, `java`, `dotnet`, `ruby`, `provided`), by what it has.
    pub fn runtime(&self) -> Option<&'static str> {
        const SIGNS: [(&str, &str); 6] = [
            ("awslambdaric", "python"),
            ("bootstrap.py", "python"),
            ("index.mjs", "nodejs"),
            ("index.js", "nodejs"),
            ("Amazon.Lambda.RuntimeSupport.dll", "dotnet"),
            ("lambda_runtime.rb", "ruby"),
        ];
        // An OS-only base may have got a runtime of any kind, with rules of its own for handlers.
        let named = self.named_runtime();
        if named == Some("provided") {
            return named;
        }
        let dir = self.config.var("LAMBDA_RUNTIME_DIR").unwrap_or("/var/runtime").trim_matches('/');
        let sign = SIGNS.iter().find(|(sign, _)| self.files.get(format!("{dir}/{sign}")).is_some());
        // Java's client has its version in its name.
        let is_java = |name: &str| name.starts_with("aws-lambda-java-runtime");
        let has_java = || self.files.below(format!("{dir}/lib")).any(|file| is_java(file.member.name()));
        let found = sign.map(|(_, runtime)| *runtime).or_else(|| has_java().then_some("java"));
        found.or(named)
    }

    /// By the name of the base that the image was made on.
    fn named_runtime(&self) -> Option<&'static str> {
        runtime_of_base(self.config.label("org.opencontainers.image.base.name")?)
    }
}
