//! A `RUN` line that needs a process, before it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::key;
use super::mounts::LineMounts;
use crate::error::Error;
use crate::image::{Config, LayerKey};
use crate::recipe::{Command, Mount, Network, Origin, Run, Untranslated};
#[cfg(target_os = "linux")]
use crate::rootfs::NOISE_VERSION;

/// No command runs on other systems, but layers may be found.
#[cfg(not(target_os = "linux"))]
const NOISE_VERSION: u32 = 0;

/// The search path of a command whose image sets none, as with Docker:
/// <https://github.com/moby/moby/blob/master/oci/defaults.go> and BuildKit's `util/system/path.go`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command, and all that decides what it does besides the files below it.
pub(super) struct PlannedCommand {
    pub(super) command: Command,
    /// The user and perhaps group, as `USER` gives them.
    pub(super) user: Option<String>,
    /// The absolute directory that it starts in.
    pub(super) directory: String,
    /// The variables of the config and the build arguments.
    pub(super) variables: BTreeMap<String, String>,
    /// Variables that are not part of the key.
    pub(super) proxies: Arc<BTreeMap<String, String>>,
    pub(super) network: Network,
    /// Its mounts, in order.
    pub(super) mounts: Vec<Mount>,
    /// Those whose files are part of the key.
    pub(super) files: LineMounts,
    /// The time that its layer's entries get, which it finds in `SOURCE_DATE_EPOCH`.
    pub(super) epoch: u64,
    /// Whether files that differ with each run, such as logs of package managers, stay in the layer.
    pub(super) keeps_noise: bool,
    /// Whether it runs in the place of a translation that needs more than lbuild can do without a process.
    pub(super) is_translated: bool,
    /// Why it is not translated, if a translation was asked for.
    pub(super) untranslated: Option<Untranslated>,
    /// The instruction.
    pub(super) origin: Origin,
}

impl PlannedCommand {
    /// The command in an image with this config.
    pub(super) fn of(run: &Run, config: &Config, epoch: u64, keeps_noise: bool) -> PlannedCommand {
        let Run {
            command, user, directory, arguments, proxies, network, mounts, untranslated, origin, ..
        } = run;
        let files = LineMounts::of(&Run { translation: None, ..run.clone() });
        let of_config = config.env().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let of_build = arguments.iter().map(|(name, value)| (name.clone(), value.clone()));
        PlannedCommand {
            command: command.clone(),
            user: user.clone(),
            directory: directory.clone(),
            variables: of_config.chain(of_build).collect(),
            proxies: proxies.clone(),
            network: *network,
            mounts: mounts.clone(),
            files,
            epoch,
            keeps_noise,
            is_translated: false,
            untranslated: untranslated.clone(),
            origin: origin.clone(),
        }
    }

    /// The command in the place of its translation.
    pub(super) fn translated(self) -> PlannedCommand {
        PlannedCommand { is_translated: true, ..self }
    }

    /// The key of its layer, without the layers below.
    pub(super) fn key(&self) -> LayerKey {
        // Destructured without `..`, so that a new field does not compile until it is handled here.
        let PlannedCommand {
            command,
            user,
            directory,
            variables,
            proxies: _,
            network,
            mounts,
            files: _,
            epoch,
            keeps_noise,
            is_translated,
            untranslated: _,
            origin: _,
        } = self;
        let noise = (!keeps_noise).then_some(NOISE_VERSION);
        let mounts: Vec<_> = mounts.iter().map(in_key).collect();
        let key = key::of_command((command, user, directory, variables, network, mounts, epoch, noise));
        // A build that does not translate must not decide the layers of one that does.
        if *is_translated { key::in_place_of_translation(key) } else { key }
    }

    /// The error if no command can run here.
    pub(super) fn refused(&self, fault: &str, hint: String) -> Error {
        match &self.untranslated {
            None => self.origin.failed(fault, Some(hint)),
            Some(Untranslated { word, reason }) => {
                let fault = format!("this command needs a process: `{word}` {reason}; {fault}");
                self.origin.failed_at(word, fault, Some(hint))
            }
        }
    }

    /// The directories in which a program without a slash in its name is looked up.
    pub(super) fn path(&self) -> &str {
        self.variables.get("PATH").map_or(DEFAULT_PATH, String::as_str)
    }

    /// The command's environment for a user with this home directory. `others` has further variables, used where neither
    /// the image nor the build sets them.
    pub(super) fn environment(&self, home: &str, others: &[(&str, &str)]) -> BTreeMap<String, String> {
        let defaults = [("PATH", DEFAULT_PATH), ("HOME", home)].into_iter().chain(others.iter().copied());
        let mut all: BTreeMap<String, String> =
            defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.extend(self.proxies.iter().map(|(name, value)| (name.clone(), value.clone())));
        // Compilers of bytecode, archivers and others then make the same bytes each time:
        // <https://reproducible-builds.org/docs/source-date-epoch/>.
        all.insert("SOURCE_DATE_EPOCH".to_owned(), self.epoch.to_string());
        all.extend(self.variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }

    /// The absolute paths at which the program may be, the first one first.
    pub(super) fn programs(&self) -> Vec<String> {
        let (arguments, _) = self.arguments();
        let Some(program) = arguments.into_iter().next() else { return Vec::new() };
        if program.starts_with('/') {
            return vec![program];
        }
        let below = |dir: &str| {
            let dir = if dir.starts_with('/') { dir.to_owned() } else { format!("{}/{dir}", self.directory) };
            format!("{}/{program}", dir.trim_end_matches('/'))
        };
        match program.contains('/') {
            true => vec![below("")],
            false => self.path().split(':').map(below).collect(),
        }
    }

    /// The arguments, the first of which is the program; and the file that a script of a here-document is, with its path
    /// below `/dev`.
    pub(super) fn arguments(&self) -> (Vec<String>, Option<(String, &str)>) {
        match &self.command {
            Command::Exec(words) => (words.clone(), None),
            Command::Shell { shell, text } => (shell.iter().cloned().chain([text.clone()]).collect(), None),
            Command::Script { name, content } => {
                let file = format!("pipes/{name}");
                (vec![format!("/dev/{file}")], Some((file, content)))
            }
        }
    }
}

/// The options of a mount that are part of the key, besides the content of its files. Paths of this machine are not.
fn in_key(mount: &Mount) -> serde_json::Value {
    match mount {
        Mount::Bind { target, writable, .. } => json!(["bind", target, writable]),
        Mount::Cache { target, id, access, read_only, .. } => json!(["cache", target, id, access, read_only]),
        Mount::Tmpfs { target, size } => json!(["tmpfs", target, size]),
        Mount::Secret { id, target, env, access, .. } => json!(["secret", id, target, env, access]),
        Mount::Ssh { id, target, access, .. } => json!(["ssh", id, target, access]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, Platform};

    fn planned(change: impl FnOnce(&mut Run)) -> PlannedCommand {
        let mut run = Run {
            command: Command::Shell { shell: vec!["/bin/sh".into(), "-c".into()], text: "make".into() },
            user: None,
            directory: "/".into(),
            arguments: Arc::default(),
            proxies: Arc::default(),
            mounts: Vec::new(),
            network: Network::Default,
            translation: None,
            untranslated: None,
            origin: Origin { file: "D".into(), line: 1, column: 1, text: "RUN make".into() },
        };
        change(&mut run);
        PlannedCommand::of(&run, &Config::scratch(&Platform::linux(Arch::Amd64)), 7, false)
    }

    #[test]
    fn all_but_proxies_and_the_place_decides_the_key() {
        let key = |change: fn(&mut Run)| planned(change).key();
        let plain = key(|_| ());
        let same: [fn(&mut Run); 2] = [
            |run| run.proxies = Arc::new([("http_proxy".to_owned(), "x".to_owned())].into()),
            |run| run.origin.line = 9,
        ];
        assert!(same.into_iter().all(|change| key(change) == plain));
        let other: [fn(&mut Run); 5] = [
            |run| run.command = Command::Exec(vec!["make".into()]),
            |run| run.user = Some("app".into()),
            |run| run.directory = "/app".into(),
            |run| run.arguments = Arc::new([("A".to_owned(), "1".to_owned())].into()),
            |run| run.network = Network::None,
        ];
        let mut keys: Vec<_> = other.into_iter().map(|change| key(change).0.hex()).collect();
        keys.push(plain.0.hex());
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }

    #[test]
    fn the_image_decides_over_defaults() {
        let command = planned(|run| {
            run.arguments = Arc::new([("HOME".to_owned(), "/h".to_owned())].into());
            run.proxies = Arc::new([("http_proxy".to_owned(), "p".to_owned())].into());
        });
        let environment = command.environment("/root", &[("SSL_CERT_FILE", "/c"), ("HOME", "/x")]);
        let expected = [
            ("HOME", "/h"),
            ("PATH", DEFAULT_PATH),
            ("SOURCE_DATE_EPOCH", "7"),
            ("SSL_CERT_FILE", "/c"),
            ("http_proxy", "p"),
        ];
        assert!(environment.iter().map(|(name, value)| (&**name, &**value)).eq(expected));
    }
}
