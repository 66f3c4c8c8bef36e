//! Builds an image from a recipe.
//!
//! 1. The stages that the last stage needs are built ([`stage`]), several at once ([`ahead`]). A stage's base ([`base`]) is fetched while
//!    its sources are planned.
//! 2. Every part of a source ([`planned`]) becomes a layer ([`add`]). It is looked up by its key ([`key`]), in the cache of this
//!    machine and in images of earlier pushes ([`cached`]), or else fetched and written ([`write`]).
//! 3. Paths in the image follow its links ([`follow`]). The image so far decides more about files of a Dockerfile: see
//!    [`beneath`] for the layers that matter, [`placed`] and [`place`] for what they decide, [`accounts`] for owners.
//! 4. Operations of a `RUN` line ([`operate`]) change the files of all layers below.
//! 5. Its installs become layers of wheels ([`install`]) or of Node packages ([`node`]). The layers of [`packages`] are
//!    found again together ([`steps`]); those of an install although layers below it have changed ([`recall`]).
//!    Operations and installs see the files of the line's mounts ([`mounts`]).
//! 6. Other `RUN` lines ([`command`]) run in directories with the files of all layers below ([`roots`]), and what they
//!    change becomes a layer ([`run`]).
//! 7. A finished image, to which nothing is added, is mended instead ([`mend`]).
//! 8. Layers are passed to the pushes as soon as they exist.

mod accounts;
mod add;
#[cfg(target_os = "linux")]
mod agent;
mod ahead;
#[cfg(target_os = "linux")]
mod attach;
mod base;
mod beneath;
mod binds;
mod cached;
mod command;
mod completion;
mod content;
mod fetched;
mod follow;
mod gzip;
mod install;
mod key;
mod line;
mod mend;
mod mounts;
mod node;
mod operate;
#[cfg(target_os = "linux")]
mod output;
mod packages;
mod place;
mod placed;
mod planned;
mod planned_run;
mod reads;
mod recall;
mod rewrite;
#[cfg(target_os = "linux")]
mod roots;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod roots;
#[cfg(target_os = "linux")]
mod run;
mod sight;
mod sources;
mod stage;
mod steps;
#[cfg(target_os = "linux")]
pub(super) mod unpack;
mod write;

pub(super) use base::{BASE_DIGEST, BASE_NAME, as_it_is, labels as base_labels};
pub(super) use cached::Cached;
pub(super) use placed::{Below, placed};
pub(super) use sources::{check_sources, packs, provides, target};
pub(super) use stage::{build, sources_of};
pub(super) use write::layer_of_tree;
