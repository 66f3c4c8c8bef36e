//! Runs a command in a directory with the files of an image, by the means that this machine allows.
//!
//! * [`exec`]: in namespaces, on an overlay or a tree. [`chroot`]: in a tree, as root of a container. [`proot`]: in a tree,
//!   under the program of that name. [`probe()`]: which of them work.
//! * [`steps`], [`child`]: the set-up as data, and the process that performs it. [`running`]: the parent's side.
//! * [`owners`]: records the owners of files where only one id is mapped.
//! * [`programs`], [`emulation`]: how programs of other architectures are executed.
//! * [`within()`]: work on files with the ids of a command. [`leftovers`]: ends what a killed run left.

mod bpf;
mod calls;
mod child;
mod chroot;
mod command;
mod emulation;
mod exec;
mod ids;
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
mod steps;
mod stubs;
mod system;
mod ways;
mod within;

#[cfg(test)]
mod tests;

pub(crate) use command::{Bind, BindSource, Exit, Failure, Files, Process, User};
pub(crate) use emulation::{NO_EMULATOR, NO_NAMESPACE, with_programs};
pub(crate) use exec::environment;
pub(crate) use ids::Ids;
pub(crate) use leftovers::end as end_leftovers;
pub(crate) use mode::{Mode, Way};
pub(crate) use obstacle::Obstacle;
pub(crate) use programs::Programs;
pub(crate) use ways::{probe, run};
pub(crate) use within::within;
