//! The images of an asset manifest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::destination::ImageDestination;
use super::json::{fault_at, or_default, parse};
use super::{glob, tarball};
use crate::error::Result;

/// An image to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageAsset {
    /// The hash of the asset, or the name that the user has given it.
    pub id: String,
    /// The path of the construct, in newer schemas.
    pub display_name: Option<String>,
    /// Where the image comes from.
    pub source: ImageSource,
    /// Where it goes.
    pub destinations: Vec<ImageDestination>,
}

/// Where the image of an asset comes from. Paths are relative to the directory of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// A directory with a Dockerfile.
    Dockerfile(Box<DockerBuild>),
    /// A Docker archive: that of a `TarballImageAsset`, whose command would only load it into Docker.
    Archive(String),
    /// A command that prints the name of an image.
    Executable(Vec<String>),
}

/// The settings of a build, each that of an option of `docker build`. Paths in them are relative to `directory`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct DockerBuild {
    /// The build context.
    #[serde(default, deserialize_with = "or_default")]
    pub directory: String,
    /// The Dockerfile, if it has another name.
    pub docker_file: Option<String>,
    /// The stage to build.
    pub docker_build_target: Option<String>,
    /// The values of `ARG`s.
    #[serde(default, deserialize_with = "or_default")]
    pub docker_build_args: BTreeMap<String, String>,
    /// Named contexts: directories or images.
    #[serde(default, deserialize_with = "or_default")]
    pub docker_build_contexts: BTreeMap<String, String>,
    /// Secrets by id, each as `src=FILE` or `env=NAME`.
    #[serde(default, deserialize_with = "or_default")]
    pub docker_build_secrets: BTreeMap<String, String>,
    /// An SSH agent, as `ID` or `ID=SOCKET`.
    pub docker_build_ssh: Option<String>,
    /// The network of commands.
    pub network_mode: Option<String>,
    /// The platform of the image.
    pub platform: Option<String>,
    /// The outputs of the build.
    #[serde(default, deserialize_with = "or_default")]
    pub docker_outputs: Vec<String>,
    /// Caches to read.
    #[serde(default, deserialize_with = "or_default")]
    pub cache_from: Vec<CacheOption>,
    /// A cache to write.
    pub cache_to: Option<CacheOption>,
    /// Whether every layer is made again.
    #[serde(default, deserialize_with = "or_default")]
    pub cache_disabled: bool,
    /// Settings of a newer schema, by their names.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// A cache of BuildKit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub struct CacheOption {
    /// Its kind, such as `registry`.
    pub r#type: String,
    /// Its parameters.
    #[serde(default, deserialize_with = "or_default")]
    pub params: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Manifest {
    #[expect(dead_code, reason = "a file without it is not an asset manifest")]
    version: String,
    #[serde(default, deserialize_with = "or_default")]
    docker_images: BTreeMap<String, Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Image {
    display_name: Option<String>,
    source: Source,
    destinations: BTreeMap<String, ImageDestination>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Source {
    executable: Option<Vec<String>>,
    #[serde(flatten)]
    build: DockerBuild,
}

impl ImageAsset {
    /// Reads the images of an asset manifest; `file` is its name in messages.
    ///
    /// # Errors
    /// When it is not an asset manifest, or an image has no source.
    pub fn parse_all(file: &str, text: &str) -> Result<Vec<ImageAsset>> {
        let Manifest { docker_images, .. } = parse(file, text)?;
        let asset = |(id, image): (String, Image)| {
            let Image { display_name, source, destinations } = image;
            let source = source.checked().map_err(|fault| {
                fault_at(file, text, &id, format!("the source of the image asset `{id}` {fault}"))
            })?;
            Ok(ImageAsset { id, display_name, source, destinations: destinations.into_values().collect() })
        };
        docker_images.into_iter().map(asset).collect()
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.id)
    }

    /// Whether its id or its name matches a pattern, in which `*` stands for any characters and `?` for one.
    pub fn is_called(&self, pattern: &str) -> bool {
        glob::matches(pattern, &self.id)
            || self.display_name.as_ref().is_some_and(|name| glob::matches(pattern, name))
    }
}

impl Source {
    fn checked(self) -> Result<ImageSource, &'static str> {
        let has_directory = !self.build.directory.is_empty();
        match self.executable {
            Some(_) if has_directory => Err("has both a directory and an executable"),
            Some(words) if words.is_empty() => Err("has an executable without words"),
            Some(words) => Ok(match tarball::archive(&words) {
                Some(archive) => ImageSource::Archive(archive.to_owned()),
                None => ImageSource::Executable(words),
            }),
            None if has_directory => Ok(ImageSource::Dockerfile(Box::new(self.build))),
            None => Err("has neither a directory nor an executable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESTINATIONS: &str = r#""destinations": { "d": { "repositoryName": "r", "imageTag": "t" } }"#;

    fn source(text: &str) -> Result<ImageSource> {
        let text = format!(
            r#"{{ "version": "1", "files": {{}}, "dockerImages": {{ "id": {{ "source": {text}, {DESTINATIONS} }} }} }}"#
        );
        ImageAsset::parse_all("a.json", &text).map(|mut assets| assets.remove(0).source)
    }

    #[test]
    fn every_setting_of_a_build_is_read() {
        let text = r#"{ "directory": "asset.1", "dockerFile": "x/Dockerfile", "dockerBuildTarget": "final",
            "dockerBuildArgs": { "A": "1" }, "dockerBuildContexts": { "lib": "../lib" },
            "dockerBuildSecrets": { "s": "src=f" }, "dockerBuildSsh": "default", "networkMode": "host",
            "platform": "linux/arm64", "dockerOutputs": ["type=docker"],
            "cacheFrom": [{ "type": "registry", "params": { "ref": "x/y:c" } }], "cacheTo": { "type": "inline" },
            "cacheDisabled": true, "dockerBuildNewThing": 7 }"#;
        let ImageSource::Dockerfile(build) = source(text).unwrap() else { panic!("a Dockerfile") };
        let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let cache =
            |kind: &str, params: BTreeMap<String, String>| CacheOption { r#type: kind.to_owned(), params };
        let expected = DockerBuild {
            directory: "asset.1".into(),
            docker_file: Some("x/Dockerfile".into()),
            docker_build_target: Some("final".into()),
            docker_build_args: pair("A", "1"),
            docker_build_contexts: pair("lib", "../lib"),
            docker_build_secrets: pair("s", "src=f"),
            docker_build_ssh: Some("default".into()),
            network_mode: Some("host".into()),
            platform: Some("linux/arm64".into()),
            docker_outputs: vec!["type=docker".into()],
            cache_from: vec![cache("registry", pair("ref", "x/y:c"))],
            cache_to: Some(cache("inline", BTreeMap::new())),
            cache_disabled: true,
            unknown: BTreeMap::from([("dockerBuildNewThing".to_owned(), Value::from(7))]),
        };
        assert_eq!(*build, expected);
    }

    #[test]
    fn a_setting_may_be_null() {
        let text =
            r#"{ "directory": "a", "executable": null, "dockerBuildArgs": null, "cacheDisabled": null }"#;
        let ImageSource::Dockerfile(build) = source(text).unwrap() else { panic!("a Dockerfile") };
        assert_eq!(*build, DockerBuild { directory: "a".into(), ..DockerBuild::default() });
    }

    #[test]
    fn a_command_is_an_archive_or_is_run() {
        let words = r#"["sh", "-c", "docker load -i a.tar | tail -n 1 | sed \"s/Loaded image: //g\""]"#;
        let archive = source(&format!("{{ \"executable\": {words} }}")).unwrap();
        assert_eq!(archive, ImageSource::Archive("a.tar".into()));
        let executable = source(r#"{ "executable": ["make", "image"] }"#).unwrap();
        assert_eq!(executable, ImageSource::Executable(vec!["make".into(), "image".into()]));
    }

    #[test]
    fn errors_name_the_asset_and_show_no_value() {
        for (text, expected) in [
            ("{}", "`id` has neither a directory nor an executable"),
            (r#"{ "directory": "a", "executable": ["b"] }"#, "`id` has both"),
            (r#"{ "executable": [] }"#, "`id` has an executable without words"),
            (r#"{ "directory": "a", "dockerBuildArgs": { "TOKEN": 7 } }"#, "this must be a string"),
            (r#"{ "directory": "a", "dockerBuildArgs": "TOKEN=7" }"#, "this must be an object"),
            (r#"{ "directory": "a", "dockerOutputs": "7" }"#, "this must be an array"),
            ("7", "this must be an object"),
        ] {
            let error = source(text).unwrap_err().to_string();
            assert!(error.starts_with("a.json:1:") && error.contains(expected), "{error}");
            assert!(!error.contains('7'), "{error}");
        }
    }

    #[test]
    fn an_asset_is_named_by_its_id_or_its_path() {
        let asset = |display_name: Option<&str>| ImageAsset {
            id: "e551ef49".into(),
            display_name: display_name.map(str::to_owned),
            source: ImageSource::Archive("a".into()),
            destinations: Vec::new(),
        };
        let named = asset(Some("Hello/AssetImage"));
        assert!(["e551*", "Hello/*", "*"].iter().all(|pattern| named.is_called(pattern)));
        assert!(!named.is_called("Hello") && !asset(None).is_called("Hello/*"));
        assert_eq!((named.name(), asset(None).name()), ("Hello/AssetImage", "e551ef49"));
    }
}
