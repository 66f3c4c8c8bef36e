//! The settings of SAM's command line: samconfig.toml, or samconfig.yaml.

use serde_json::Value;

use super::intrinsics::Resolver;
use super::parameters::Parameters;
use super::{document, keys};
use crate::error::{Error, Result};
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::source_text::SourceText;

/// The settings of a project, by environment and command.
#[derive(Clone, Debug, Default)]
pub struct Settings(Value);

/// The section that counts for every command of an environment.
const GLOBAL: &str = "global";

impl Settings {
    /// Reads a file in TOML, or in YAML if its name ends with `.yaml` or `.yml`.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn parse(name: &str, text: &str) -> Result<Settings> {
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        let read = if is_yaml { yaml(text) } else { toml(text) };
        let source = || SourceText::new(name, text);
        read.map(Settings).map_err(|fault| Error::Template(Box::new(source().remark(fault))))
    }

    /// All of the file.
    pub fn all(&self) -> &Value {
        &self.0
    }

    /// Whether the file has this environment.
    pub fn has(&self, environment: &str) -> bool {
        self.0.get(environment).is_some()
    }

    /// The value of a parameter in the first of these commands that has it, else for all commands. Dashes in the names
    /// of parameters are underscores, as in the file.
    pub fn get(&self, environment: &str, commands: &[&str], parameter: &str) -> Option<&Value> {
        let environment = self.0.get(environment)?;
        let parameter = parameter.replace('-', "_");
        let sections = commands.iter().copied().chain([GLOBAL]);
        let mut values = sections.filter_map(|command| {
            let parameters = environment.get(command)?.get("parameters")?;
            parameters.get(&parameter).or_else(|| parameters.get(parameter.replace('_', "-")))
        });
        values.next()
    }
}

fn toml(text: &str) -> Parsed<Value> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        Fault::new(at, error.message())
    })
}

fn yaml(text: &str) -> Parsed<Value> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    let (_, root) = document::parse(text)?;
    let parameters = Parameters::default();
    let resolver = Resolver { root: &root, parameters: &parameters };
    keys::read(&resolver.value(&root)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "version = 0.1\n[default.deploy.parameters]\nstack_name = 'a'\nresolve-image-repos = true\n\
        [default.global.parameters]\nstack_name = 'b'\nregion = 'r'\n[other.package.parameters]\nregion = 'o'\n";

    #[test]
    fn the_command_comes_before_all_commands() {
        let settings = Settings::parse("samconfig.toml", TOML).unwrap();
        let get =
            |environment, parameter| settings.get(environment, &["package", "deploy"], parameter).cloned();
        assert_eq!(get("default", "stack-name"), Some("a".into()));
        assert_eq!(get("default", "resolve-image-repos"), Some(true.into()));
        assert_eq!(get("default", "region"), Some("r".into()));
        assert_eq!(get("other", "region"), Some("o".into()));
        assert_eq!(get("other", "stack-name"), None);
        assert!(settings.has("other") && !settings.has("third"));
    }

    #[test]
    fn yaml_has_the_same_sections() {
        let text = "version: 0.1\ndefault:\n  package:\n    parameters:\n      image_repositories: [A=b]\n      cached: true\n";
        let settings = Settings::parse("samconfig.yaml", text).unwrap();
        let get = |parameter| settings.get("default", &["package"], parameter).cloned();
        assert_eq!(get("image-repositories"), Some(vec!["A=b"].into()));
        assert_eq!(get("cached"), Some(true.into()));
        let error = Settings::parse("samconfig.toml", "a = 1\nb = [").unwrap_err().to_string();
        assert!(error.starts_with("samconfig.toml:2:"), "{error}");
    }
}
