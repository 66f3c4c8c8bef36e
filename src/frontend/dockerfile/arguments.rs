//! The arguments for lowering a Dockerfile.

use std::collections::{BTreeMap, HashMap};

use crate::image::{Config, Platform, Reference};
use crate::recipe::{Base, BuildContext, DEFAULT_EPOCH};

/// The arguments of a build that are not in the Dockerfile.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The platform of the image.
    pub platform: Platform,
    /// The platform of the machine that builds: `$BUILDPLATFORM`.
    pub build_platform: Platform,
    /// The stage to build. `None`: the last.
    pub target: Option<String>,
    /// Values of `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// The directory that `COPY` and `ADD` read.
    pub context: BuildContext,
    /// Directories and images that stand for a stage or an image of these names.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The time of files and image, in seconds since 1970. A build argument `SOURCE_DATE_EPOCH` replaces it.
    pub epoch: u64,
    /// Which `RUN` lines become operations.
    pub translate: Translate,
}

/// Whether `RUN` lines are translated into operations, which need no process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Translate {
    /// Those that can be.
    #[default]
    Auto,
    /// All of them: any other line is an error.
    Always,
    /// None.
    Never,
}

/// The value of a named context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory on this machine.
    Directory(BuildContext),
    /// An image.
    Image(Base),
}

/// An image that a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseImage {
    /// The image.
    pub base: Base,
    /// Its platform.
    pub platform: Platform,
}

/// The configs of base images.
#[derive(Clone, Debug, Default)]
pub struct Configs(HashMap<String, Config>);

impl Arguments {
    /// The arguments for an image of `platform` from the files in `context`.
    pub fn new(platform: Platform, context: std::path::PathBuf) -> Arguments {
        Arguments {
            build_platform: platform.clone(),
            platform,
            target: None,
            build_args: BTreeMap::new(),
            context: BuildContext { path: context, ignore: Vec::new() },
            contexts: BTreeMap::new(),
            epoch: DEFAULT_EPOCH,
            translate: Translate::default(),
        }
    }

    /// The named context for the stage or image `name`. The names of images are compared in their long form.
    pub(super) fn named(&self, name: &str) -> Option<&NamedContext> {
        if self.contexts.is_empty() || matches!(&*name.to_ascii_lowercase(), "scratch" | "context") {
            return None;
        }
        self.contexts.get(name).or_else(|| {
            let wanted = name.parse::<Reference>().ok()?;
            let same = |given: &str| given.parse::<Reference>().is_ok_and(|given| given == wanted);
            self.contexts.iter().find_map(|(given, context)| same(given).then_some(context))
        })
    }
}

impl Configs {
    /// Adds the config of an image.
    pub fn insert(&mut self, image: &BaseImage, config: Config) {
        self.0.insert(image.key(), config);
    }

    pub(super) fn get(&self, image: &BaseImage) -> Option<&Config> {
        self.0.get(&image.key())
    }
}

impl BaseImage {
    fn key(&self) -> String {
        // The debug form has all fields of a base; its display omits some.
        format!("{:?} {}", self.base, self.platform)
    }
}
