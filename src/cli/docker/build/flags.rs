//! Flags of `docker build` that are accepted and change nothing, and those that would change what commands see.

use crate::cli::args::accepted::{Table, Value};

/// The subject of a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A default of lbuild, or the form of the output.
    Nothing,
    /// Something that only a daemon has: nothing is lost.
    Daemon,
    /// Attestations, which Lambda refuses.
    Attestations,
    /// Commands, whose result it may change.
    Commands,
}

use About::{Attestations, Commands, Daemon, Nothing};
use Value::{Optional, Required};

/// The flags of `docker build`.
pub struct Flags;

impl Table for Flags {
    type About = About;
    const LETTERS: &'static [(&'static str, char)] = &[("memory", 'm')];
    const FLAGS: &'static [(&'static str, Value, About)] = &[
        ("rm", Optional, Nothing),
        ("force-rm", Optional, Nothing),
        ("progress", Required, Nothing),
        ("builder", Required, Daemon),
        ("compress", Optional, Daemon),
        ("cache-to", Required, Daemon),
        ("disable-content-trust", Optional, Daemon),
        ("allow", Required, Daemon),
        ("provenance", Optional, Attestations),
        ("sbom", Optional, Attestations),
        ("attest", Required, Attestations),
        ("annotation", Required, Attestations),
        ("add-host", Required, Commands),
        ("shm-size", Required, Commands),
        ("ulimit", Required, Commands),
        ("cgroup-parent", Required, Commands),
        ("memory", Required, Commands),
        ("memory-swap", Required, Commands),
        ("cpu-period", Required, Commands),
        ("cpu-quota", Required, Commands),
        ("cpu-shares", Required, Commands),
        ("cpuset-cpus", Required, Commands),
        ("cpuset-mems", Required, Commands),
        ("security-opt", Required, Commands),
        ("isolation", Required, Commands),
    ];
}
