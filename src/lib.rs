//! **lbuild** turns a source directory into an AWS Lambda container image and pushes it, without Docker, a daemon or
//! root. This is the library; the `lbuild` command is a thin layer above it.
//!
//! # A first image
//!
//! A [`Recipe`] describes the image, an [`Engine`] builds it, and a [`Destination`] receives it:
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
//! # Architecture
//!
//! ```text
//!  flags, lbuild.toml ── lower ─► Recipe ─pin─► Recipe ─prepare─► Image ─send─┬─► registry
//!                                                  │               ▲   │      ├─► OCI layout directory
//!                                          per step│               │   │      └─► docker-archive tar
//!                       Source ─plan─► Part ─fetch─► FileTree      │   └─ scan ─► lambda::check ─► findings
//!                                                       └─► Layer ─┘
//! ```
//!
//! The public top-level modules:
//!
//! * [`frontend`]: languages that are lowered to a recipe: Dockerfiles. Pure functions.
//! * [`recipe`]: the only input of the engine. Plain data, readable and writable as JSON; every front-end lowers to it.
//! * [`Engine`]: executes recipes. [`pin`](Engine::pin) makes a recipe exact, and [`build`](Engine::build) makes an
//!   image from it. [`prepare`](Engine::prepare) returns a [`Prepared`] image, which can be [scanned](Prepared::scan)
//!   and then [sent](Prepared::send); [`push`](Engine::push) does both steps without a scan.
//!   [`publish`](Engine::publish) sends an image that is built already, and [`inspect`](Engine::inspect),
//!   [`scan`](Engine::scan) and [`diff`](Engine::diff) read stored images.
//! * [`image`]: the central value, [`Image`]: a config and layers, with every digest known. Pure data.
//! * [`tree`]: the files of layers, in one model. [`FileTree`](tree::FileTree) is one layer to be written,
//!   [`View`](tree::View) is several layers laid over each other.
//! * [`layer`]: writes a tree as a layer whose bytes depend on the tree and the epoch only, and reads layers.
//! * [`scan`]: the members of a layer, with facts about their content.
//! * [`Destination`]: the only output. Each is given with a manifest format; the blobs are the same in both formats.
//! * [`lambda`]: the runtimes and requirements of AWS Lambda, as data and pure functions; `lambda::check` has the
//!   rules, and `lambda::invoke`, on Linux, runs functions on this machine, in the files that [`unpack`](Engine::unpack) gives.
//! * `aws` (a feature): ECR's tokens, repositories and policies, with the credentials that AWS tools share.
//! * [`error`] and [`event`]: the library never prints and never exits. It emits [`Event`]s, and fails with an
//!   [`Error`] whose [`hint`](Error::hint) proposes a fix.
//!
//! The private top-level modules: `source` (plans and fetches the files of a [`Source`](recipe::Source), one module per
//! kind of source), `operations` (executes file operations of commands in a model of the image's files), `rootfs`
//! (directories with the files of images, and processes in them), `store` (registries, layouts, archives, the cache) and
//! `threads` (runs blocking work).
//!
//! A top-level module may import itself, `error`, `event`, the modules in its row, and the modules that these may
//! import:
//!
//! ```text
//!  cli (of the binary) → engine, frontend, lambda, aws
//!  aws                 → store, source
//!  engine              → source, operations, rootfs, store, scan, recipe
//!  lambda              → rootfs, scan, image
//!  source              → store, layer, recipe, threads
//!  operations          → recipe, tree
//!  scan                → layer
//!  store               → rootfs, tree, image
//!  rootfs              → layer
//!  layer               → tree, image
//!  frontend            → recipe
//!  recipe, tree        → image
//! ```
//!
//! A test reads the imports and compares them with this diagram (`tests/it/layering.rs`). It also refuses cycles
//! between the files of a module.
//!
//! # Guarantees
//!
//! * **Same input, same digest**: for any number of threads, order of directory entries, umask, time zone, user,
//!   working directory and host, with a cold or a warm cache.
//! * **No unnecessary work**: a blob that the destination has is not sent, an unchanged file is not read again, and no
//!   content is compressed twice.
//! * **Bounded memory**: blobs of any size are streamed, and verified against digest and size meanwhile.
//! * **The tag moves last**: a push that fails or is killed leaves the old image complete.
//! * **Secrets stay out** of layers, configs, events and errors.
//!
//! # Guide
//!
//! [`guide`] has a page for each task: packages, destinations, caches, checks, ECR, CI, this library.
//!
//! # Features
//!
//! `cli` (default): the command. `aws` (default): AWS credentials for ECR, and its repositories. `check` (default):
//! [`lambda::check`]. No feature changes an image's bytes; without default features, only the bare library is built.

#![warn(missing_docs)]

#[cfg(feature = "aws")]
pub mod aws;
mod engine;
pub mod error;
pub mod event;
pub mod frontend;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod guide;
pub mod image;
pub mod lambda;
pub mod layer;
mod operations;
mod programs;
pub mod recipe;
#[cfg(target_os = "linux")]
mod rootfs;
pub mod scan;
mod source;
mod store;
mod threads;
pub mod tree;

pub use engine::diff;
pub use engine::{
    Caching, Difference, Engine, EngineBuilder, Inspected, Prepared, Probe, Published, Reach, RunMode,
    RunProbe, Sent, StoredImage,
};
pub use error::{Error, Result};
pub use event::Event;
pub use image::Image;
pub use programs::printed_by;
pub use recipe::Recipe;
#[cfg(target_os = "linux")]
pub use rootfs::UnpackedImage;
pub use source::{LambdaLayers, LayerVersion, text};
pub use store::{
    Cache, Credential, Credentials, Destination, DockerConfig, DockerConfigIn, Later, LocalImage,
    LocalImages, Password, Secret, Usage, Workplace,
};
