//! Wheels: their names, their layers, and their files as an installer writes them.
//!
//! * `name`: the parts of a file name.
//! * `group`: the wheels that share a layer.
//! * `scheme`: where an installation has its files.
//! * `unpack`: a wheel's files; `record` and `scripts` are the files that an installer writes.
//! * `clash`: wheels that cannot be installed into one directory.

mod clash;
mod group;
mod name;
mod record;
mod scheme;
mod scripts;
mod unpack;

pub(super) use clash::Clash;
pub(super) use group::{MOST, group};
pub(super) use name::{WheelName, is_directory, is_source, normalized};
pub(super) use record::recorded_paths;
pub(super) use scheme::{Directories, Scheme};
pub(super) use unpack::{recorded_url, unpack};
