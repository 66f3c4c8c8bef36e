//! The files of a root: layers unpacked into directories, and the difference that a command made in them.
//!
//! All of it runs also inside of a user namespace, in a forked child: what it returns can be serialised.
//!
//! * [`Index`]: what a root holds; [`IndexUpdate`]: what turns it into another. [`unpack()`]: applies a layer to a directory and its index.
//! * [`copy()`], [`remove()`]: whole directories. [`Snapshot`]: shows which files of a tree have changed.
//! * [`settle_overlay`], [`settle_tree`]: the difference to the index; [`Settled::tree`]: the same as the files of a
//!   layer. [`restore`]: ends what made them readable.

mod attributes;
mod candidates;
mod compare;
mod copy;
mod diff;
mod directories;
mod hash;
mod index;
mod noise;
mod normalise;
mod overlay;
mod pyc;
mod read;
mod remove;
mod snapshot;
#[cfg(test)]
mod tests;
mod unpack;
mod update;

pub(crate) use attributes::{Owners, set_access};
pub(crate) use copy::{copy, link};
pub(crate) use diff::{Settings, Settled, settle_overlay, settle_tree};
pub(crate) use index::{Index, Node};
pub(crate) use noise::NOISE_VERSION;
pub(crate) use normalise::restore;
pub(crate) use remove::remove;
pub(crate) use snapshot::Snapshot;
pub(crate) use unpack::{Form, make_own_root, make_root, unpack};
pub(crate) use update::IndexUpdate;
