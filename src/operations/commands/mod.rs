//! The commands, each as methods of [`Shell`](super::shell::Shell). They fail as GNU coreutils and findutils do, and go
//! on with their next file.

mod attributes;
mod copy;
mod directories;
mod find;
mod link;
mod locks;
mod remove;
mod rename;
mod target;
mod write;

pub(super) use attributes::NewOwner;
pub(super) use link::LinkOptions;
