//! SAM's settings: the flags, else samconfig.toml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lbuild::frontend::sam::{Settings, parse_overrides};
use serde_json::Value;

use crate::cli::args::sam::SamArgs;
use crate::cli::output::exit::Failure;

/// The names of the file, in the order of SAM.
const NAMES: [&str; 3] = ["samconfig.toml", "samconfig.yaml", "samconfig.yml"];
const ENVIRONMENT: &str = "default";
const OVERRIDES: &str = "parameter_overrides";

/// The settings that count for a command of lbuild.
pub struct SamSettings {
    settings: Settings,
    /// The name of the file, for messages.
    name: String,
    environment: String,
    /// The commands of SAM whose sections count, the first before the others.
    commands: &'static [&'static str],
}

impl SamSettings {
    /// Reads the file beside a template that is given, else in the working directory.
    pub fn load(args: &SamArgs, commands: &'static [&'static str]) -> Result<SamSettings, Failure> {
        let dir = args.template.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let environment = args.config_env.clone().unwrap_or_else(|| ENVIRONMENT.to_owned());
        let path = match &args.config_file {
            Some(file) => Some(dir.join(file)),
            None => NAMES.iter().map(|name| dir.join(name)).find(|path| path.is_file()),
        };
        let Some(path) = path else {
            return Ok(SamSettings {
                settings: Settings::default(),
                name: String::new(),
                environment,
                commands,
            });
        };
        let name = path.display().to_string();
        let settings = Settings::parse(&name, &text(&path)?)?;
        if args.config_env.is_some() && !settings.has(&environment) {
            let message = format!("{name} has no environment `{environment}`");
            return Err(Failure::usage(
                message,
                "--config-env is the first part of a section, as in [default.deploy.parameters]",
            ));
        }
        Ok(SamSettings { settings, name, environment, commands })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.settings.get(&self.environment, self.commands, key)
    }

    /// The string of a key.
    pub fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "must be a string")),
        }
    }

    /// The strings of a key; one stands for a list of one.
    pub fn list(&self, key: &str) -> Result<Vec<String>, Failure> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = match self.get(key) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(text).collect(),
            Some(value) => text(value).map(|text| vec![text]),
        };
        list.ok_or_else(|| self.wrong(key, "must be a list of strings"))
    }

    #[cfg(feature = "aws")]
    pub fn flag(&self, key: &str) -> Result<bool, Failure> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.wrong(key, "must be true or false")),
        }
    }

    /// The values of parameters.
    pub fn overrides(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut values = BTreeMap::new();
        match self.get(OVERRIDES) {
            None => {}
            Some(Value::Array(items)) => {
                items.iter().try_for_each(|item| self.add_overrides(item, &mut values))?;
            }
            Some(value) => self.add_overrides(value, &mut values)?,
        }
        Ok(values)
    }

    fn add_overrides(&self, value: &Value, values: &mut BTreeMap<String, String>) -> Result<(), Failure> {
        match value {
            Value::String(text) => values.extend(overrides(text, &format!("{}: {OVERRIDES}", self.name))?),
            Value::Object(table) => values.extend(of_table(table)),
            _ => return Err(self.wrong(OVERRIDES, "must be strings or tables")),
        }
        Ok(())
    }

    fn wrong(&self, key: &str, fault: &str) -> Failure {
        Failure::Usage { message: format!("{}: {key} {fault}", self.name), hint: None }
    }

    /// Whether `sam deploy` will read `image_repositories` here, and so want the build keys of every image function.
    pub fn deploys_by_function(&self) -> Option<&str> {
        let deploy = self.settings.get(&self.environment, &["deploy"], "image_repositories");
        deploy.is_some().then_some(self.name.as_str())
    }
}

/// Reads values of parameters; `what` names their place. `file://PATH` is a file in TOML or YAML.
pub fn overrides(text: &str, what: &str) -> Result<BTreeMap<String, String>, Failure> {
    if let Some(path) = text.trim().strip_prefix("file://") {
        let file = Settings::parse(path, &self::text(Path::new(path))?)?;
        let table = file.all().as_object().map(|table| of_table(table).collect());
        return table.ok_or_else(|| Failure::usage(format!("{path} has no table of values"), None));
    }
    // The words may be parts of a secret value.
    parse_overrides(text).map_err(|_| {
        let message = format!("{what} has a word that is not NAME=VALUE");
        let hint = "write a value with blanks in quotes: 'NAME=\"a b\"'; the names of functions stand before the flag";
        Failure::usage(message, hint)
    })
}

fn of_table(table: &serde_json::Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    table.iter().map(|(name, value)| (name.clone(), value_text(value)))
}

/// A value of a table as the text of a parameter; a list is joined by commas.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The text of a template, byte for byte.
pub fn exact_text(path: &Path) -> Result<String, Failure> {
    let fail = |source| Failure::Read { what: path.display().to_string(), source };
    let bytes = std::fs::read(path).map_err(fail)?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{} is not text in UTF-8", path.display());
        Failure::usage(message, "save it in UTF-8")
    })
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, Failure> {
    match lbuild::text::read(path) {
        Ok(text) => Ok(text),
        Err(lbuild::Error::Read { source, .. }) => {
            Err(Failure::Read { what: path.display().to_string(), source })
        }
        Err(error) => Err(error.into()),
    }
}

/// The template: that of the flags, of the settings, or the first of SAM's names in the working directory.
pub fn template_path(args: &SamArgs, settings: &SamSettings) -> Result<PathBuf, Failure> {
    const TEMPLATES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];
    if let Some(path) = &args.template {
        return Ok(path.clone());
    }
    for key in ["template_file", "template"] {
        if let Some(path) = settings.text(key)? {
            return Ok(path.into());
        }
    }
    let found = TEMPLATES.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::usage("there is no template.yaml, template.yml or template.json here", "add --template FILE")
    })
}
