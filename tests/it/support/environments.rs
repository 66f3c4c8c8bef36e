//! The environments in which people build: accounts of a machine, and containers as Docker, Kubernetes and hosted CI
//! start them. A [`Place`] is one of them with a directory, in which programs run; nothing of it stays when it ends.
//!
//! Every place has its own mount and PID namespace, made by root (by `sudo` if the tests run as somebody else). The
//! containers are runc's; their root is this machine's root directory below an empty overlay, so programs and
//! libraries have the same paths everywhere.

mod container;
mod place;
mod seccomp;

use self::container::{Container, Seccomp, Users};
pub use self::place::Place;
use super::{run, sandbox, tool};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Environment {
    /// An account of a machine, without subordinate ids.
    Account,
    /// An account with subordinate ids, so that `newuidmap` works.
    SubordinateIds,
    /// Root of a machine.
    Root,
    /// Root in `docker run`: 14 capabilities, the default seccomp rules, parts of /proc masked.
    Docker,
    /// The same without the capability to make devices.
    DockerWithoutMknod,
    /// Docker's root of a user namespace (`userns-remap`), who cannot make devices.
    RemappedDocker,
    /// Root in `docker run` on a machine that has rules for the programs of arm64, as Docker's action `setup-qemu` makes them.
    /// Only the container has them: they are those of a user namespace around it.
    EmulatingDocker,
    /// Root in a container without seccomp rules: `seccomp=unconfined`, or a pod of Kubernetes without a profile.
    Unconfined,
    /// Another user than root in such a container.
    UnconfinedUser,
    /// Root where user namespaces are allowed but mounts are not, as on a node of Kubernetes with AppArmor's default
    /// profile for containers.
    MountsRefused,
    /// Kubernetes' Pod Security level "restricted": no root, no capability, default seccomp rules, no_new_privs.
    Restricted,
}

impl Environment {
    /// All whose rules are the machine's.
    pub const ALL: [Environment; 10] = [
        Environment::Account,
        Environment::SubordinateIds,
        Environment::Root,
        Environment::Docker,
        Environment::DockerWithoutMknod,
        Environment::RemappedDocker,
        Environment::Unconfined,
        Environment::UnconfinedUser,
        Environment::MountsRefused,
        Environment::Restricted,
    ];

    /// The ids of its user, as this machine sees them.
    fn owner(self) -> (u32, u32) {
        match self {
            Environment::Account => (65534, 65534),
            Environment::SubordinateIds => sandbox::account_ids(),
            Environment::RemappedDocker => (container::REMAPPED, container::REMAPPED),
            Environment::UnconfinedUser | Environment::Restricted => (container::USER, container::USER),
            _ => (0, 0),
        }
    }

    fn container(self) -> Option<Container> {
        let docker = Container::docker();
        Some(match self {
            Environment::Account | Environment::SubordinateIds | Environment::Root => return None,
            Environment::Docker => docker,
            Environment::DockerWithoutMknod => docker.without("CAP_MKNOD"),
            Environment::RemappedDocker => Container { users: Users::Remapped, ..docker },
            Environment::EmulatingDocker => Container { users: Users::Surrounding, ..docker },
            Environment::Unconfined => Container { seccomp: Seccomp::None, ..docker },
            Environment::UnconfinedUser => Container {
                seccomp: Seccomp::None,
                user: container::USER,
                capabilities: Vec::new(),
                ..docker
            },
            Environment::MountsRefused => Container { seccomp: Seccomp::Mounts, ..docker },
            Environment::Restricted => Container {
                user: container::USER,
                capabilities: Vec::new(),
                no_new_privileges: true,
                ..docker
            },
        })
    }

    pub fn place(self) -> Place {
        Place::new(self, true)
    }

    /// A place whose directory is on the container's own root, an overlay, rather than on a volume.
    pub fn place_without_volume(self) -> Place {
        assert!(self.container().is_some(), "{self:?} has no root of its own");
        Place::new(self, false)
    }
}

/// The command lines of processes that name this directory in their arguments or variables.
pub fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let script = r#"for file in /proc/[0-9]*; do
        if [ "$file" != /proc/$$ ] && grep -qsaF "$0" "$file/cmdline" "$file/environ"; then tr '\0\n' '  ' <"$file/cmdline"; echo; fi
    done 2>/dev/null; true"#;
    let output =
        as_root("bash", &["-c".as_ref(), script.as_ref(), dir.as_ref()]).output().expect("bash starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("for file in /proc"))
        .map(str::to_owned)
        .collect()
}

/// A program as root of this machine.
pub fn as_root(program: &str, arguments: &[&OsStr]) -> Command {
    let mut command = if rustix::process::getuid().is_root() {
        Command::new(tool(program))
    } else {
        let mut command = Command::new(tool("sudo"));
        command.arg("--non-interactive").arg(tool(program));
        command
    };
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

#[track_caller]
fn done(command: &mut Command) {
    run(command).unwrap_or_else(|fault| panic!("as root: {fault}"));
}
