//! `lbuild.toml`: default arguments of every run.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::output::exit::Failure;

/// The file's name, in the function's directory.
pub const NAME: &str = "lbuild.toml";

/// The file's keys; each is the flag of the same name.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigFile {
    pub path: Option<PathBuf>,
    pub arch: Option<String>,
    pub runtime: Option<String>,
    pub base: Option<String>,
    pub dockerfile: Option<PathBuf>,
    pub target: Option<String>,
    pub build_arg: BTreeMap<String, String>,
    pub build_context: BTreeMap<String, String>,
    pub deps: Many,
    pub layer: Many,
    pub layer_image: Many,
    pub extension: Many,
    pub wrapper: Option<String>,
    pub web_adapter: Switch,
    pub runtime_client: Switch,
    pub requirements: Option<PathBuf>,
    pub lock: Option<PathBuf>,
    pub wheels: Option<PathBuf>,
    pub require_hashes: bool,
    pub slim: bool,
    pub compile_bytecode: Option<lbuild::recipe::Bytecode>,
    pub python_version: Option<String>,
    pub npm: bool,
    pub npm_scripts: bool,
    pub add: Many,
    pub handler: Option<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub workdir: Option<String>,
    pub env: BTreeMap<String, String>,
    pub label: BTreeMap<String, String>,
    pub user: Option<String>,
    pub to: Many,
    pub tag: Many,
    pub format: Option<lbuild::image::Format>,
    pub insecure: Many,
    pub cache_from: Many,
    #[cfg(feature = "aws")]
    pub repo: Option<String>,
    #[cfg(feature = "aws")]
    pub create_repo: bool,
    #[cfg(feature = "aws")]
    pub allow_lambda: bool,
}

/// The value of a flag that may be given without one.
#[derive(Deserialize, Default, Clone)]
#[serde(from = "BoolOrText")]
pub struct Switch(pub Option<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum BoolOrText {
    Bool(bool),
    Text(String),
}

impl From<BoolOrText> for Switch {
    fn from(value: BoolOrText) -> Switch {
        Switch(match value {
            BoolOrText::Bool(on) => on.then(String::new),
            BoolOrText::Text(text) => Some(text),
        })
    }
}

/// One string or a list of them.
#[derive(Deserialize, Default, Clone)]
#[serde(from = "OneOrMany")]
pub struct Many(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Many {
    fn from(value: OneOrMany) -> Many {
        Many(match value {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        })
    }
}

impl ConfigFile {
    /// Reads the file in `dir`; a missing file sets nothing.
    pub fn load(dir: &Path) -> Result<ConfigFile, Failure> {
        let path = dir.join(NAME);
        let text = match lbuild::text::read(&path) {
            Ok(text) => text,
            Err(lbuild::Error::Read { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(ConfigFile::default());
            }
            Err(lbuild::Error::Read { source, .. }) => {
                return Err(Failure::Read { what: path.display().to_string(), source });
            }
            Err(lbuild::Error::NotText { fault, .. }) => {
                return Err(Failure::Config { path, message: fault.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        toml::from_str(&text)
            .map_err(|error| Failure::Config { path, message: error.to_string().trim_end().to_owned() })
    }

    /// The path of the function's code, for a config file in `dir`.
    pub fn code(&self, dir: &Path) -> PathBuf {
        self.path.as_ref().map_or(dir.to_owned(), |path| dir.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_given_as_a_single_value() {
        let config: ConfigFile = toml::from_str("deps = 'a'\nto = ['x', 'y']\nenv = { A = '1' }").unwrap();
        assert_eq!(
            (config.deps.0, config.to.0),
            (vec!["a".to_owned()], vec!["x".to_owned(), "y".to_owned()])
        );
        assert_eq!(config.env["A"], "1");
        let config: ConfigFile = toml::from_str("compile-bytecode = 'auto'").unwrap();
        assert_eq!(config.compile_bytecode, Some(lbuild::recipe::Bytecode::Auto));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = toml::from_str::<ConfigFile>("arch = 'arm64'\nhandlr = 'x'").err().unwrap().to_string();
        assert!(error.contains("line 2") && error.contains("handlr"), "{error}");
    }
}
