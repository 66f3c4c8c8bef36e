//! What kaniko takes from the environment.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use lbuild::{Cache, DockerConfig, DockerConfigIn, Workplace};

use super::args::Executor;
use crate::cli::output::exit::Failure;

/// The settings of the environment and, where it has none, of the flags.
pub struct Environment {
    pub no_push: bool,
    pub mirror: Option<String>,
    pub map: Option<String>,
    /// The directory of the logins in `DOCKER_AUTH_CONFIG`.
    logins: Option<Workplace>,
}

impl Environment {
    pub fn read(args: &Executor) -> Result<Environment, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let no_push = match variable("KANIKO_NO_PUSH").map(|value| value.to_ascii_lowercase()).as_deref() {
            None => args.no_push,
            Some("1" | "t" | "true") => true,
            Some("0" | "f" | "false") => false,
            Some(other) => {
                let message = format!("KANIKO_NO_PUSH is `{other}`");
                return Err(Failure::usage(message, "set it to true or false"));
            }
        };
        Ok(Environment {
            no_push,
            mirror: variable("KANIKO_REGISTRY_MIRROR"),
            map: variable("KANIKO_REGISTRY_MAP"),
            logins: variable("DOCKER_AUTH_CONFIG").as_deref().map(kept).transpose()?,
        })
    }

    /// The logins of `DOCKER_AUTH_CONFIG`, which come before the stored ones.
    pub fn logins(&self) -> Option<DockerConfigIn> {
        self.logins.as_ref().map(|dir| DockerConfig::in_dir(dir.path()))
    }
}

/// Keeps the text of a config.json in a directory, until the process ends. Nobody else can read it.
fn kept(text: &str) -> Result<Workplace, Failure> {
    let root = Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
    let dir = Cache::at(root).workplace()?;
    let path = dir.path().join("config.json");
    let written = create_dir_all(dir.path()).and_then(|()| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    });
    written.map_err(|source| Failure::Write { path, source })?;
    Ok(dir)
}
