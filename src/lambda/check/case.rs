//! An image as the rules see it.

use serde_json::Value;

use super::files::Files;
use crate::image::{Arch, Config, Descriptor, Manifest};
use crate::layer::Survey;

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
    pub surveys: &'a [Option<Survey>],
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
    pub surveys: &'a [Option<Survey>],
    pub asked: &'a Asked,
    /// What a container of the image sees.
    pub files: Files<'a>,
}

impl<'a> Case<'a> {
    pub fn of(subject: &Subject<'a>) -> Case<'a> {
        let Subject { manifest, layers, config, surveys, asked } = *subject;
        Case {
            manifest: serde_json::from_slice(&manifest.bytes).unwrap_or_default(),
            media_type: &manifest.media_type,
            layers,
            config,
            surveys,
            asked,
            files: Files::of(surveys),
        }
    }

    /// The layers that are known, by number.
    pub fn known(&self) -> impl Iterator<Item = (usize, &'a Survey)> {
        self.surveys.iter().enumerate().filter_map(|(number, survey)| Some((number, survey.as_ref()?)))
    }

    /// The architecture that the function shall have, or else the one that the config names.
    pub fn arch(&self) -> Option<Arch> {
        self.asked.arch.or_else(|| self.config.platform().architecture.parse().ok())
    }

    /// The directory of the function, without a slash at either end.
    pub fn task_root(&self) -> &'a str {
        let named = self.config.var("LAMBDA_TASK_ROOT").or_else(|| self.config.workdir());
        named.unwrap_or("/var/task").trim_matches('/')
    }

    /// The handler, when the image starts with the entry script of AWS's bases, which takes one.
    pub fn handler(&self) -> Option<&'a str> {
        let [entry] = self.config.entrypoint()[..] else { return None };
        let [handler] = self.config.cmd()[..] else { return None };
        (entry.ends_with("lambda-entrypoint.sh")).then_some(handler)
    }

    /// The runtime of one of AWS's bases (`python`, `nodejs`, `java`, `dotnet`, `ruby`, `provided`), by what it has.
    pub fn runtime(&self) -> Option<&'static str> {
        let dir = self.config.var("LAMBDA_RUNTIME_DIR").unwrap_or("/var/runtime").trim_matches('/');
        const SIGNS: [(&str, &str); 7] = [
            ("awslambdaric", "python"),
            ("bootstrap.py", "python"),
            ("index.mjs", "nodejs"),
            ("index.js", "nodejs"),
            ("lib/aws-lambda-java-runtime-interface-client.jar", "java"),
            ("bootstrap.jar", "java"),
            ("lambda_runtime.rb", "ruby"),
        ];
        let sign = SIGNS.iter().find(|(sign, _)| self.files.get(&format!("{dir}/{sign}")).is_some());
        sign.map(|(_, runtime)| *runtime).or_else(|| {
            let base = self.config.label("org.opencontainers.image.base.name")?;
            let name = base.rsplit('/').next()?.split([':', '@']).next()?;
            ["python", "nodejs", "java", "dotnet", "ruby", "provided"]
                .into_iter()
                .find(|runtime| *runtime == name)
        })
    }
}
