//! Runs a command in a directory with the files of an image, by the means that this machine allows.
//!
//! * [`exec`]: in namespaces, on an overlay or a tree. [`chroot`]: in a tree, as root of a container. [`proot`]: in a tree,
//!   under the program of that name. [`probe()`]: which of them work.
//! * [`steps`], [`child`]: the set-up as data, and the process that performs it. [`running`]: the parent's side.
//! * [`owners`]: records the owners of files where only one id is mapped.
//! * [`programs`], [`emulation`]: how programs of other architectures are executed.
//! * [`service`]: programs beside each other, in files that they cannot change.
//! * [`cgroup`]: limits of memory, where the system has delegated them; [`usage`]: looking at it.
//! * [`within()`]: work on files with the ids of a command. [`leftovers`]: ends what a killed run left.

mod bpf;
mod calls;
mod cgroup;
mod child;
mod chroot;
mod command;
mod emulation;
mod exec;
mod ids;
mod landlock;
mod leftovers;
mod listener;
mod mode;
mod mounts;
mod obstacle;
mod owners;
mod place;
mod placed;
mod probe;
mod programs;
mod proot;
mod reaper;
mod report;
mod restriction;
mod running;
mod service;
mod steps;
mod stubs;
mod system;
mod usage;
mod ways;
mod within;

#[cfg(test)]
mod tests;

pub(crate) use cgroup::{Cgroup, Limits};
pub(crate) use command::{Bind, BindSource, Exit, Failure, Files, Process, User};
pub(crate) use emulation::{NO_EMULATOR, NO_NAMESPACE, with_programs};
pub(crate) use exec::environment;
pub(crate) use ids::Ids;
pub(crate) use leftovers::end as end_leftovers;
pub(crate) use mode::{Mode, Way};
pub(crate) use obstacle::Obstacle;
pub(crate) use programs::Programs;
pub(crate) use service::{Control, Other, Place, Service, Told, has_one_user, protects, serve};
pub(crate) use usage::memory_below;
pub(crate) use ways::{probe, run};
pub(crate) use within::within;
