//! The settings of a function that a deployment can change.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{Environment, EphemeralStorage, ImageConfig};

use crate::store::Secret;

/// Settings of a function; those that are not given stay as they are.
#[derive(Clone, Debug, Default)]
pub struct FunctionSettings {
    /// The function's settings in place of the image's own.
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
    /// `None` if Lambda cannot read them, for lack of the right to use their key.
    pub(super) env: Option<BTreeMap<String, Secret>>,
    pub(super) memory: i32,
    pub(super) timeout: i32,
    pub(super) ephemeral_storage: i32,
    pub(super) role: String,
}

impl Present {
    /// These settings, changed.
    pub(super) fn with(&self, wanted: &FunctionSettings) -> Present {
        let FunctionSettings { image, env, unset_env, memory, timeout, ephemeral_storage, role } = wanted;
        let all = self.env.clone().map(|mut all| {
            all.retain(|name, _| !unset_env.contains(name));
            all.extend(env.iter().map(|(name, value)| (name.clone(), value.clone())));
            all
        });
        Present {
            image: self.image.with(image),
            env: all,
            memory: memory.unwrap_or(self.memory),
            timeout: timeout.unwrap_or(self.timeout),
            ephemeral_storage: ephemeral_storage.unwrap_or(self.ephemeral_storage),
            role: role.clone().unwrap_or_else(|| self.role.clone()),
        }
    }

    /// The settings that are other ones, in the order of [`Setting`].
    pub(super) fn differences(&self, other: &Present) -> Vec<Setting> {
        let Present { image, env, memory, timeout, ephemeral_storage, role } = self;
        [
            (Setting::Entrypoint, image.entrypoint == other.image.entrypoint),
            (Setting::Cmd, image.cmd == other.image.cmd),
            (Setting::Workdir, image.workdir == other.image.workdir),
            (Setting::Env, *env == other.env),
            (Setting::Memory, *memory == other.memory),
            (Setting::Timeout, *timeout == other.timeout),
            (Setting::EphemeralStorage, *ephemeral_storage == other.ephemeral_storage),
            (Setting::Role, *role == other.role),
        ]
        .into_iter()
        .filter_map(|(setting, is_same)| (!is_same).then_some(setting))
        .collect()
    }

    pub(super) fn environment(&self) -> Option<Environment> {
        let variables =
            self.env.as_ref()?.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Some(Environment::builder().set_variables(Some(variables.collect())).build())
    }

    pub(super) fn storage(&self) -> Option<EphemeralStorage> {
        // `build` fails only without a size.
        EphemeralStorage::builder().size(self.ephemeral_storage).build().ok()
    }
}

/// A setting that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Entrypoint,
    Cmd,
    Workdir,
    Env,
    Memory,
    Timeout,
    EphemeralStorage,
    Role,
}

impl Setting {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Setting::Entrypoint => "entry point",
            Setting::Cmd => "command",
            Setting::Workdir => "working directory",
            Setting::Env => "variables",
            Setting::Memory => "memory",
            Setting::Timeout => "timeout",
            Setting::EphemeralStorage => "ephemeral storage",
            Setting::Role => "role",
        }
    }

    /// Whether Lambda takes it as a part of the settings for the image.
    pub(super) fn is_of_image(self) -> bool {
        matches!(self, Setting::Entrypoint | Setting::Cmd | Setting::Workdir)
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

    /// As Lambda takes it: as a whole, so that what is left out is removed.
    pub(super) fn config(&self) -> ImageConfig {
        ImageConfig::builder()
            .set_entry_point(self.entrypoint.clone())
            .set_command(self.cmd.clone())
            .set_working_directory(self.workdir.clone())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> Present {
        Present {
            image: ImageOverrides { cmd: Some(vec!["app.old".into()]), ..ImageOverrides::default() },
            env: Some(BTreeMap::from([
                ("A".into(), Secret::from("1".to_owned())),
                ("B".into(), Secret::from("2".to_owned())),
            ])),
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
        assert_eq!(after.env.as_ref().unwrap().keys().collect::<Vec<_>>(), ["B"]);
        let names: Vec<_> = before.differences(&after).into_iter().map(Setting::name).collect();
        assert_eq!(names, ["command", "working directory", "variables", "memory"]);
        assert!(!format!("{wanted:?}").contains('3'));
    }
}
