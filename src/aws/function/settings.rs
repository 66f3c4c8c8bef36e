//! The settings of a function that a deployment can change.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{Environment, EphemeralStorage, ImageConfig};

use crate::store::Secret;

/// Settings of a function; those that are not given stay as they are.
#[derive(Clone, Debug, Default)]
pub struct FunctionSettings {
    /// What replaces the image's own settings.
    pub image: ImageOverrides,
    /// Variables to set; the others stay.
    pub env: BTreeMap<String, Secret>,
    /// Variables to remove.
    pub unset_env: Vec<String>,
    /// In MiB.
    pub memory: Option<i32>,
    /// In seconds.
    pub timeout: Option<i32>,
    /// The size of `/tmp`, in MiB.
    pub ephemeral_storage: Option<i32>,
    /// The ARN of the execution role.
    pub role: Option<String>,
}

/// Settings of the function that replace those of its image. An empty one removes what the function has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageOverrides {
    /// In place of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    pub cmd: Option<Vec<String>>,
    /// In place of the image's working directory.
    pub workdir: Option<String>,
}

/// The settings that a function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) image: ImageOverrides,
    pub(super) env: BTreeMap<String, Secret>,
    pub(super) memory: i32,
    pub(super) timeout: i32,
    pub(super) ephemeral_storage: i32,
    pub(super) role: String,
}

impl Present {
    /// These settings, changed.
    pub(super) fn with(&self, wanted: &FunctionSettings) -> Present {
        let FunctionSettings { image, env, unset_env, memory, timeout, ephemeral_storage, role } = wanted;
        let mut all = self.env.clone();
        all.retain(|name, _| !unset_env.contains(name));
        all.extend(env.iter().map(|(name, value)| (name.clone(), value.clone())));
        Present {
            image: self.image.with(image),
            env: all,
            memory: memory.unwrap_or(self.memory),
            timeout: timeout.unwrap_or(self.timeout),
            ephemeral_storage: ephemeral_storage.unwrap_or(self.ephemeral_storage),
            role: role.clone().unwrap_or_else(|| self.role.clone()),
        }
    }

    /// The names of the settings that are other ones.
    pub(super) fn differences(&self, other: &Present) -> Vec<&'static str> {
        let Present { image, env, memory, timeout, ephemeral_storage, role } = self;
        [
            ("entry point", image.entrypoint == other.image.entrypoint),
            ("command", image.cmd == other.image.cmd),
            ("working directory", image.workdir == other.image.workdir),
            ("variables", *env == other.env),
            ("memory", *memory == other.memory),
            ("timeout", *timeout == other.timeout),
            ("ephemeral storage", *ephemeral_storage == other.ephemeral_storage),
            ("role", *role == other.role),
        ]
        .into_iter()
        .filter_map(|(name, is_same)| (!is_same).then_some(name))
        .collect()
    }

    pub(super) fn environment(&self) -> Environment {
        let variables = self.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Environment::builder().set_variables(Some(variables.collect())).build()
    }

    pub(super) fn storage(&self) -> Option<EphemeralStorage> {
        // `build` fails only without a size.
        EphemeralStorage::builder().size(self.ephemeral_storage).build().ok()
    }
}

impl ImageOverrides {
    /// An empty value stands for none.
    fn with(&self, wanted: &ImageOverrides) -> ImageOverrides {
        let list = |old: &Option<Vec<String>>, new: &Option<Vec<String>>| match new {
            Some(words) => Some(words.clone()).filter(|words| !words.is_empty()),
            None => old.clone(),
        };
        ImageOverrides {
            entrypoint: list(&self.entrypoint, &wanted.entrypoint),
            cmd: list(&self.cmd, &wanted.cmd),
            workdir: match &wanted.workdir {
                Some(dir) => Some(dir.clone()).filter(|dir| !dir.is_empty()),
                None => self.workdir.clone(),
            },
        }
    }

    pub(super) fn of(config: Option<&ImageConfig>) -> ImageOverrides {
        let words = |words: &[String]| Some(words.to_vec()).filter(|words| !words.is_empty());
        ImageOverrides {
            entrypoint: config.and_then(|config| words(config.entry_point())),
            cmd: config.and_then(|config| words(config.command())),
            workdir: config
                .and_then(|config| config.working_directory())
                .filter(|dir| !dir.is_empty())
                .map(str::to_owned),
        }
    }

    /// As Lambda takes it: empty values remove what is set.
    pub(super) fn config(&self) -> ImageConfig {
        ImageConfig::builder()
            .set_entry_point(Some(self.entrypoint.clone().unwrap_or_default()))
            .set_command(Some(self.cmd.clone().unwrap_or_default()))
            .working_directory(self.workdir.clone().unwrap_or_default())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> Present {
        Present {
            image: ImageOverrides { cmd: Some(vec!["app.old".into()]), ..ImageOverrides::default() },
            env: BTreeMap::from([
                ("A".into(), Secret::from("1".to_owned())),
                ("B".into(), Secret::from("2".to_owned())),
            ]),
            memory: 128,
            timeout: 3,
            ephemeral_storage: 512,
            role: "arn:aws:iam::123456789012:role/r".into(),
        }
    }

    #[test]
    fn settings_that_are_not_given_stay() {
        let (before, none) = (present(), FunctionSettings::default());
        assert_eq!(before.with(&none), before);
        let wanted = FunctionSettings {
            image: ImageOverrides {
                cmd: Some(Vec::new()),
                workdir: Some("/app".into()),
                ..ImageOverrides::default()
            },
            env: BTreeMap::from([("B".into(), Secret::from("3".to_owned()))]),
            unset_env: vec!["A".into(), "C".into()],
            memory: Some(256),
            ..FunctionSettings::default()
        };
        let after = before.with(&wanted);
        assert_eq!((after.image.cmd.as_ref(), after.image.workdir.as_deref()), (None, Some("/app")));
        assert_eq!(after.env.keys().collect::<Vec<_>>(), ["B"]);
        assert_eq!(before.differences(&after), ["command", "working directory", "variables", "memory"]);
        assert!(!format!("{wanted:?}").contains('3'));
    }
}
