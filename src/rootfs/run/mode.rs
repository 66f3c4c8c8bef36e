//! The ways to run a command without Docker, and what stands against them.

use super::ids::Ids;
use super::obstacle::Obstacle;
use super::programs::Programs;

/// How a command gets a root of its own, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Namespaces, with an overlay: nothing is copied.
    Namespaces,
    /// Namespaces, with a tree that is copied per stage. For systems that refuse overlays.
    Copy,
    /// A chroot into a copied tree. For root of a container that may not create namespaces.
    Chroot,
    /// The program `proot`, on a copied tree.
    Proot,
}

impl Mode {
    /// Its name in flags and events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Namespaces => "namespaces",
            Mode::Copy => "copy",
            Mode::Chroot => "chroot",
            Mode::Proot => "proot",
        }
    }
}

/// What [`probe`](super::probe::probe) found to work.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) mode: Mode,
    pub(crate) ids: Ids,
    /// The command gets a user namespace of its own. Only the machine's root can do without.
    pub(crate) userns: bool,
    /// A container runtime hides parts of `/proc`. The kernel then refuses to mount another procfs, so that the command
    /// gets a bind of the present one.
    pub(crate) proc_masked: bool,
    /// The kernel refuses a new sysfs, so that the command gets a read-only bind of the present one.
    pub(crate) sys_bound: bool,
    /// Better ids, and what was met on the attempt to use them.
    pub(crate) passed_over: Vec<Obstacle>,
    /// How the programs of the image are executed.
    pub(crate) programs: Programs,
}

impl Way {
    /// A way without namespaces, for programs of this machine.
    pub(super) fn new(mode: Mode, ids: Ids) -> Way {
        Way {
            mode,
            ids,
            userns: false,
            proc_masked: false,
            sys_bound: false,
            passed_over: Vec::new(),
            programs: Programs::default(),
        }
    }
}
