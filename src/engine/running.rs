//! How commands of a Dockerfile run on this machine.

use std::fmt;
use std::str::FromStr;

#[cfg(target_os = "linux")]
use tokio::sync::OnceCell;

#[cfg(target_os = "linux")]
use crate::rootfs::Way;

/// A way to run commands of a Dockerfile, from the best one downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// Linux namespaces, on an overlay of the image's layers.
    Namespaces,
    /// Linux namespaces, on a copy of the image's files.
    Copy,
    /// As root of a container, in a directory with a copy of the image's files.
    Chroot,
    /// The program `proot`.
    Proot,
    /// Not at all: a command that needs a process is an error.
    None,
}

impl RunMode {
    /// The modes in which commands run, the preferred one first.
    pub const ALL: [RunMode; 4] = [RunMode::Namespaces, RunMode::Copy, RunMode::Chroot, RunMode::Proot];

    /// Its name in flags and events.
    pub fn name(self) -> &'static str {
        match self {
            RunMode::Namespaces => "namespaces",
            RunMode::Copy => "copy",
            RunMode::Chroot => "chroot",
            RunMode::Proot => "proot",
            RunMode::None => "none",
        }
    }
}

impl fmt::Display for RunMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunMode {
    type Err = String;

    fn from_str(text: &str) -> Result<RunMode, String> {
        let mut all = RunMode::ALL.into_iter().chain([RunMode::None]);
        all.find(|mode| mode.name() == text)
            .ok_or_else(|| "expected namespaces, copy, chroot, proot or none".to_owned())
    }
}

/// The result of trying a mode.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RunProbe {
    /// The mode.
    pub mode: RunMode,
    /// How commands run in it here; `None` if they do not.
    pub works: Option<String>,
    /// The steps that this machine refuses, each with the system's reason.
    pub refused: Vec<String>,
    /// A setting of this machine that would allow the mode.
    pub hint: Option<String>,
    /// How programs for the other architecture run in this mode, or why they do not; `None` if no program runs.
    pub other_architecture: Option<String>,
}

/// The settings for commands, and the mode in which they run here.
#[derive(Default)]
pub(super) struct Running {
    /// The only mode to use.
    pub(super) mode: Option<RunMode>,
    /// Whether files that differ with each run, such as logs of package managers, stay in layers.
    pub(super) keeps_noise: bool,
    #[cfg(target_os = "linux")]
    found: OnceCell<Result<Way, CannotRun>>,
    /// The way for programs of another architecture.
    #[cfg(target_os = "linux")]
    foreign: OnceCell<Way>,
}

/// Why no command can run here, and a proposed fix.
#[derive(Clone, Debug)]
pub(super) struct CannotRun {
    pub(super) fault: String,
    pub(super) hint: String,
}

/// The fix that needs nothing of the machine.
pub(super) const NO_PROCESS: &str =
    "add packages with --requirements, --lock or --npm, or make the files elsewhere and COPY them";

#[cfg(target_os = "linux")]
mod linux {
    use super::{CannotRun, NO_PROCESS, RunMode, RunProbe, Running};
    use crate::error::{Error, Result};
    use crate::image::Arch;
    use crate::rootfs::{self, Ids, Mode, Obstacle, Programs, Way};
    use crate::store::Cache;
    use crate::threads::blocking;
    use rustix::io::Errno;
    use rustix::thread::CapabilitySet;

    impl RunMode {
        fn of_root(self) -> Option<Mode> {
            match self {
                RunMode::Namespaces => Some(Mode::Namespaces),
                RunMode::Copy => Some(Mode::Copy),
                RunMode::Chroot => Some(Mode::Chroot),
                RunMode::Proot => Some(Mode::Proot),
                RunMode::None => None,
            }
        }
    }

    impl Running {
        /// How commands of an image for `architecture` run here.
        pub(in crate::engine) async fn way_for(
            &self,
            architecture: &str,
            cache: &Cache,
        ) -> Result<Way, CannotRun> {
            let way = self.way(cache).await?;
            let own = std::env::consts::ARCH.parse::<Arch>();
            let foreign = architecture.parse::<Arch>().ok().filter(|arch| own.ok() != Some(*arch));
            // Other architectures are not emulated; the kernel decides.
            let Some(arch) = foreign else { return Ok(way) };
            Ok(self.foreign.get_or_init(|| with_programs(way, arch, cache)).await.clone())
        }

        /// How commands run here: in the given mode, or the first one that works.
        async fn way(&self, cache: &Cache) -> Result<Way, CannotRun> {
            let found = self.found.get_or_init(|| async {
                let modes = match self.mode {
                    Some(mode) => vec![mode],
                    None => RunMode::ALL.to_vec(),
                };
                let mut refused = Vec::new();
                for mode in modes {
                    match attempt(mode, cache).await {
                        Ok(way) => return Ok(way),
                        Err(obstacle) => refused.push((mode, obstacle)),
                    }
                }
                Err(cannot(&refused))
            });
            found.await.clone()
        }

        /// Whether a command of an image for `architecture` can run here.
        pub(in crate::engine) async fn can_run(&self, architecture: &str, cache: &Cache) -> bool {
            let way = self.way_for(architecture, cache).await;
            way.is_ok_and(|way| !matches!(way.programs, Programs::Refused(_)))
        }
    }

    /// Tries each mode.
    pub(in crate::engine) async fn probes(cache: &Cache) -> Vec<RunProbe> {
        let mut all = Vec::new();
        for mode in RunMode::ALL {
            all.push(match attempt(mode, cache).await {
                Ok(way) => RunProbe {
                    mode,
                    works: Some(described(&way)),
                    other_architecture: Some(other_architecture(&way, cache).await),
                    refused: way.passed_over.iter().map(ToString::to_string).collect(),
                    hint: way
                        .passed_over
                        .first()
                        .and_then(|obstacle| hint(mode, *obstacle))
                        .map(str::to_owned),
                },
                Err(obstacle) => RunProbe {
                    mode,
                    works: None,
                    refused: vec![obstacle.to_string()],
                    hint: hint(mode, obstacle).map(str::to_owned),
                    other_architecture: None,
                },
            });
        }
        all
    }

    /// How programs for the architecture that is not this machine's run.
    async fn other_architecture(way: &Way, cache: &Cache) -> String {
        let arch = if cfg!(target_arch = "aarch64") { Arch::Amd64 } else { Arch::Arm64 };
        match with_programs(way.clone(), arch, cache).await.programs {
            Programs::Direct => format!("{arch}: by this machine"),
            Programs::Emulated(emulator) => format!("{arch}: by {}", emulator.program.display()),
            Programs::Refused(refused) => format!("{arch}: {refused}"),
        }
    }

    /// The way for images of an architecture.
    async fn with_programs(way: Way, arch: Arch, cache: &Cache) -> Way {
        let place = cache.workplace().and_then(|place| Ok((place.absolute()?, place)));
        let refused = |way| {
            let obstacle = Obstacle { step: "try a program of its architecture", errno: Errno::IO };
            Way { programs: Programs::Refused(obstacle), ..way }
        };
        let Ok((path, place)) = place else { return refused(way) };
        let tried = {
            let way = way.clone();
            blocking(move |_| {
                let _in_use = place;
                Ok(rootfs::with_programs(&way, arch, &path))
            })
        };
        tried.await.unwrap_or_else(|_| refused(way))
    }

    async fn attempt(mode: RunMode, cache: &Cache) -> Result<Way, Obstacle> {
        let Some(mode) = mode.of_root() else {
            return Err(Obstacle { step: "run commands in mode none", errno: Errno::PERM });
        };
        if mode == Mode::Proot && may_change_the_root() {
            return Err(Obstacle { step: "keep a command of root under proot", errno: Errno::PERM });
        }
        let place = |error| {
            let errno = match error {
                Error::Write { source, .. } | Error::Read { source, .. } => Errno::from_io_error(&source),
                _ => None,
            };
            Obstacle { step: "write to the cache", errno: errno.unwrap_or(Errno::IO) }
        };
        let place = cache.workplace().and_then(|place| Ok((place.absolute()?, place))).map_err(place)?;
        let tried = blocking(move |_| Ok(rootfs::probe(mode, &place.0)));
        tried.await.unwrap_or(Err(Obstacle { step: "start a thread", errno: Errno::AGAIN }))
    }

    /// Whether a chroot is possible. proot would be no protection then: a command of root could replace the machine's
    /// devices, and a command that ends proot goes on in the machine's root directory.
    fn may_change_the_root() -> bool {
        let sets = rustix::thread::capabilities(None);
        sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_CHROOT))
    }

    /// The way in words.
    fn described(way: &Way) -> String {
        let ids = match &way.ids {
            Ids::Real => "as root, with all users",
            Ids::Ranges { .. } => "without root, with the subordinate users of /etc/subuid",
            Ids::Single { .. } => "without root, with one user; owners of files are recorded",
            Ids::Unmapped => "without root, and without owners of files",
        };
        let proc = if way.proc_masked { "; the machine's /proc" } else { "" };
        format!("{ids}{proc}")
    }

    /// That programs for an architecture do not run here, and the start of a proposed fix.
    pub(in crate::engine) fn foreign(architecture: &str, refused: Obstacle) -> (String, String) {
        let fault =
            format!("the image is for {architecture}, and this machine cannot run its programs ({refused})");
        let first = match refused.step {
            rootfs::NO_EMULATOR => "install qemu-user-static",
            rootfs::NO_NAMESPACE => {
                "make a rule for it on the machine (`docker/setup-qemu-action` does), use the mode namespaces"
            }
            _ => "use Linux 6.7 or later, where a namespace can have rules for programs",
        };
        (fault, first.to_owned())
    }

    fn cannot(refused: &[(RunMode, Obstacle)]) -> CannotRun {
        let reasons: Vec<_> = refused.iter().map(|(mode, obstacle)| format!("{mode}: {obstacle}")).collect();
        let hints = refused.iter().filter_map(|(mode, obstacle)| hint(*mode, *obstacle)).next();
        let fault = format!("no command can run here ({})", reasons.join("; "));
        let hint = format!("{}; `lbuild doctor --run` has details", hints.unwrap_or(NO_PROCESS));
        CannotRun { fault, hint }
    }

    /// The setting that allows a step which this machine refuses.
    fn hint(mode: RunMode, obstacle: Obstacle) -> Option<&'static str> {
        let Obstacle { step, errno } = obstacle;
        Some(match (mode, errno) {
            (RunMode::Proot, Errno::PERM) if may_change_the_root() => "as root, use the mode chroot",
            (RunMode::Proot, _) => "install the package proot",
            (RunMode::Chroot, Errno::PERM) => {
                "run lbuild as root of its container, with Docker's default capabilities"
            }
            (_, Errno::NOSPC) => "raise the limit: `sysctl -w user.max_user_namespaces=15000`",
            // Ubuntu since 23.10: <https://discourse.ubuntu.com/t/understanding-apparmor-user-namespace-restriction/58007>.
            (RunMode::Namespaces | RunMode::Copy, Errno::ACCESS) => {
                "AppArmor restricts user namespaces: load a profile with `userns,` for lbuild, or \
                 `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
            }
            (RunMode::Namespaces | RunMode::Copy, Errno::PERM | Errno::NOSYS)
                if step.contains("namespace") =>
            {
                "in a container: run lbuild as its root, or start it with `--security-opt seccomp=unconfined`"
            }
            _ => return None,
        })
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{foreign, probes};

#[cfg(not(target_os = "linux"))]
impl Running {
    /// Whether a command can run here.
    #[expect(clippy::unused_async, reason = "as on Linux")]
    pub(super) async fn can_run(&self, _: &str, _: &crate::store::Cache) -> bool {
        false
    }
}

/// Tries each mode: all need Linux.
#[cfg(not(target_os = "linux"))]
pub(super) async fn probes(_: &crate::store::Cache) -> Vec<RunProbe> {
    let refused = || vec!["commands run on Linux only".to_owned()];
    RunMode::ALL
        .into_iter()
        .map(|mode| RunProbe { mode, works: None, refused: refused(), hint: None, other_architecture: None })
        .collect()
}
