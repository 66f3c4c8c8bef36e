//! Commands for files, with the options that GNU coreutils and busybox have in common.

pub(super) mod access;
pub(super) mod find;
mod format;
pub(super) mod install;
pub(super) mod links;
pub(super) mod make;
mod mode;
pub(super) mod output;
pub(super) mod remove;
pub(super) mod transfer;
