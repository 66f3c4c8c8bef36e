//! Commands that run in the image.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::copy::BuildContext;
use super::origin::Origin;
use super::translation::{Translation, Untranslated};

/// A command whose changes become a layer.
///
/// Its environment is the config's `Env` at this step, with [`arguments`](Run::arguments) over it and
/// [`proxies`](Run::proxies) below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// The user and perhaps group, as `USER` gives them. `None`: root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The absolute directory that it starts in.
    pub directory: String,
    /// Variables that are not in the config: the build arguments in force. They are part of the layer's key.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub arguments: Arc<BTreeMap<String, String>>,
    /// Variables that name proxies, which are neither in the config nor part of the layer's key.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub proxies: Arc<BTreeMap<String, String>>,
    /// The mounts while it runs, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// The network that it sees.
    #[serde(default, skip_serializing_if = "Network::is_default")]
    pub network: Network,
    /// What the command does, if it needs no process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Translation>,
    /// Why there is no translation, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untranslated: Option<Untranslated>,
    /// The instruction.
    pub origin: Origin,
}

fn is_empty(map: &Arc<BTreeMap<String, String>>) -> bool {
    map.is_empty()
}

/// The forms of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// A program, looked up in the image's `PATH`, and its arguments.
    Exec(Vec<String>),
    /// A text that is the last argument of a shell.
    Shell {
        /// The shell and its other arguments.
        shell: Vec<String>,
        /// The text.
        text: String,
    },
    /// A file with a `#!` line, run as `/dev/pipes/NAME`.
    Script {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// The network of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// As the machine is set up to run commands.
    #[default]
    Default,
    /// No network.
    None,
    /// The network of the machine.
    Host,
}

impl Network {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_default(&self) -> bool {
        *self == Network::Default
    }
}

/// A mount of a command. A target is an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// Files of a context or an image.
    Bind {
        /// The place in the image.
        target: String,
        /// The files.
        from: MountFrom,
        /// The absolute path in `from`: a directory or a file.
        source: String,
        /// Whether the command may write; what it writes is discarded.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        writable: bool,
    },
    /// A directory that later builds find again.
    Cache {
        /// The place in the image.
        target: String,
        /// The directory's name among the caches.
        id: String,
        /// How builds at the same time share it.
        #[serde(default)]
        sharing: Sharing,
        /// The files and the absolute path in them that a new cache starts with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<(MountFrom, String)>,
        /// Mode and owner of a new cache.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access: Option<Access>,
        /// Whether the command may only read.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        read_only: bool,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// The place in the image.
        target: String,
        /// The maximum size in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A secret, as a file or a variable.
    Secret {
        /// The secret's name.
        id: String,
        /// The file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The variable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        env: Option<String>,
        /// Whether a missing secret is an error.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        required: bool,
        /// Mode and owner of the file.
        access: Access,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// The agent's name.
        id: String,
        /// The socket. `None`: a place that `SSH_AUTH_SOCK` names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// Whether a missing agent is an error.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        required: bool,
        /// Mode and owner of the socket.
        access: Access,
    },
}

/// The files of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountFrom {
    /// A directory on this machine.
    Context(BuildContext),
    /// An image.
    Image(Base),
}

/// How builds that run at the same time use one cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Each its own copy.
    Private,
    /// One after another.
    Locked,
}

/// A mode and an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The permission bits.
    pub mode: u32,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Run {
    /// The images of the mounts whose files the command reads.
    pub(crate) fn images_read_mut(&mut self) -> impl Iterator<Item = &mut Base> {
        let read = self.translation.as_ref().map(|translation| translation.mounts.clone());
        let mounts = self.mounts.iter_mut().enumerate();
        let mounts = mounts.filter(move |(number, _)| read.as_ref().is_none_or(|read| read.contains(number)));
        mounts.filter_map(|(_, mount)| match mount {
            Mount::Bind { from: MountFrom::Image(image), .. }
            | Mount::Cache { from: Some((MountFrom::Image(image), _)), .. } => Some(image),
            _ => None,
        })
    }

    /// The mounts whose files the command reads: all, unless a translation needs only some of them.
    pub(crate) fn mounts_read(&self) -> impl Iterator<Item = &Mount> {
        let read = self.translation.as_ref().map(|translation| &translation.mounts);
        let numbered = self.mounts.iter().enumerate();
        numbered
            .filter(move |(number, _)| read.is_none_or(|read| read.contains(number)))
            .map(|(_, mount)| mount)
    }
}

impl Mount {
    /// The place in the image, if it has one that is known.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Mount::Bind { target, .. } | Mount::Cache { target, .. } | Mount::Tmpfs { target, .. } => {
                Some(target)
            }
            Mount::Secret { target, .. } | Mount::Ssh { target, .. } => target.as_deref(),
        }
    }

    /// Whether its files are in an image.
    pub(crate) fn is_of_image(&self) -> bool {
        self.image().is_some()
    }

    /// The image that the files are in.
    pub(super) fn image(&self) -> Option<&Base> {
        match self {
            Mount::Bind { from: MountFrom::Image(image), .. }
            | Mount::Cache { from: Some((MountFrom::Image(image), _)), .. } => Some(image),
            _ => None,
        }
    }
}
