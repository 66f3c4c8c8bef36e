//! `COPY`, `ADD` and `WORKDIR` of a Dockerfile.
//!
//! * [`context`]: selects files of a directory on this machine; links are followed within it.
//! * [`image`]: selects files of an image. [`archive`]: unpacks an archive. [`download`]: fetches a URL.
//! * [`taken`]: what one source of a directory gives. [`gather`]: the files of all sources, at their paths below the target.
//! * [`whole`]: a layer that is used as it is.
//! * [`mode`]: `--chmod`. [`pattern`]: wildcards, and `--exclude`.
//!
//! Whether the target is a directory, which links lead to it and who owns the files depends on the image so far: see
//! [`Placing`](super::placing::Placing).

mod archive;
mod context;
mod download;
mod gather;
mod image;
mod mode;
mod part;
mod pattern;
mod provider;
mod taken;
mod whole;
mod workdir;

pub(super) use provider::CopyProvider;
pub(super) use workdir::EmptyDirectoryProvider;
