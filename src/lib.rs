//! **lbuild** turns a source directory into an AWS Lambda container image and pushes it: no Docker, no daemon,
//! no root. This is the library; the `lbuild` command is a thin layer above it.
//!
//! # A first image
//!
//! What is to be built is a [`Recipe`], how is an [`Engine`], where is a [`Destination`]:
//!
//! ```
//! use lbuild::image::{Arch, ConfigEdit, Format, Platform};
//! use lbuild::recipe::{Add, Base, Recipe, Source, Step};
//! use lbuild::{Destination, Engine};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let (cache, out) = (temporary.path().join("cache"), temporary.path().join("image"));
//! let base = Base::Layout { path: "testdata/base".into(), tag: Some("python3.12".into()), digest: None };
//! let path = "testdata/functions/hello-python".into();
//! let code = Source::Directory { path, ignore: true, without: Vec::new() };
//! let handler = ConfigEdit { cmd: Some(vec!["app.handler".into()]), ..ConfigEdit::default() };
//! let steps = vec![Step::Edit(handler), Step::Add(Add { source: code, to: None })];
//! let recipe = Recipe::new(Platform::linux(Arch::Arm64), base, steps);
//!
//! let engine = Engine::builder().cache(cache).build()?;
//! let to = Destination::Layout { path: out, tags: vec!["v1".into()] };
//! let published = engine.push(&recipe, &[(to, Format::Oci)]).await?;
//! println!("{}", published[0].image); // oci:…@sha256:…
//! # Ok(())
//! # }
//! ```
//!
//! # The house
//!
//! ```text
//!  flags, a file ── lower ─► Recipe ─pin─► Recipe ─build─► Image ───┬ registry
//!                                             │                     ├ OCI layout directory
//!                                     per step│                     └ docker-archive tar
//!                              Source ─collect─► FileTree ─write─► Layer
//! ```
//!
//! * [`recipe`]: the only door in. Plain data, JSON both ways; every front-end lowers to it.
//! * [`Engine`]: executes recipes. [`pin`](Engine::pin) makes one exact, [`build`](Engine::build) makes an image
//!   of it, [`publish`](Engine::publish) brings that somewhere, and [`push`](Engine::push) does all at once.
//! * [`image`]: the central value, [`Image`]: config and layers, every digest known. Pure data.
//! * [`tree`]: the files of a layer, in one model. [`layer`]: such files ([`tree::FileTree`]) become a layer whose bytes depend on them alone.
//! * [`scan`]: what a layer holds, and facts about the files in it.
//! * [`Destination`]: the only door out. The manifest's format is chosen there; the blobs are the same.
//! * [`lambda`]: what Lambda itself demands and offers, as data.
//! * `aws` (a feature): ECR's tokens, repositories and policies, with the credentials that AWS tools share.
//!
//! The library never prints and never exits. It tells what it does through [`Event`]s, and fails with an
//! [`Error`] whose [`hint`](Error::hint) says the way out.
//!
//! # What holds
//!
//! * **Same input, same digest**: for any number of threads, order of directory entries, umask, time zone, user,
//!   working directory and host; with a cold or a warm cache.
//! * **Nothing is sent that is there**, nothing is read that has not changed, nothing is compressed twice.
//! * **Bounded memory**: blobs stream, whatever their size, and are checked against digest and size on the way.
//! * **The tag moves last**: a push that fails or is killed leaves the old image whole.
//! * **Secrets stay out** of layers, configs, events and errors.
//!
//! # Guide
//!
//! [`guide`] has a page for each task: packages, destinations, caches, checks, ECR, CI, this library.
//!
//! # Features
//!
//! `cli` (default): the command. `aws` (default): AWS credentials for ECR, and its repositories. `check` (default):
//! [`lambda::check`]. None changes an image's bytes; without default features, the bare library is built.

#![warn(missing_docs)]

#[cfg(feature = "aws")]
pub mod aws;
mod engine;
pub mod error;
pub mod event;
pub mod guide;
pub mod image;
pub mod lambda;
pub mod layer;
pub mod recipe;
pub mod scan;
mod source;
mod store;
mod threads;
pub mod tree;

pub use engine::diff;
pub use engine::{
    Caching, Difference, Engine, EngineBuilder, Inspected, Prepared, Probe, Published, Reach, StoredImage,
};
pub use error::{Error, Result};
pub use event::Event;
pub use image::Image;
pub use recipe::Recipe;
pub use store::{Cache, Credential, Credentials, Destination, DockerConfig, Later, Password, Secret, Usage};
