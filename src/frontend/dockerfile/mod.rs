//! Dockerfiles.
//!
//! [`Dockerfile::parse`] reads the text. [`Dockerfile::bases`] names the images whose configs are needed: their `PATH`,
//! their working directory and their `ONBUILD` triggers decide what the text means. With these, [`Dockerfile::lower`]
//! returns the [`Recipe`](crate::Recipe).
//!
//! ```
//! use lbuild::frontend::dockerfile::{Arguments, Configs, Dockerfile};
//! use lbuild::image::{Arch, Image, Platform};
//!
//! # fn main() -> lbuild::Result<()> {
//! let text = "FROM scratch\nARG NAME=world\nENV GREETING=\"hello $NAME\"\nCOPY bootstrap /var/runtime/\n";
//! let dockerfile = Dockerfile::parse("Dockerfile", text)?;
//! let arguments = Arguments::new(Platform::linux(Arch::Arm64), ".".into());
//! let configs = Configs::default();
//! assert!(dockerfile.bases(&arguments, &configs)?.is_empty());
//! let lowered = dockerfile.lower(&arguments, &configs)?;
//! assert_eq!(lowered.recipe.stages.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The language is that of BuildKit, as its [reference](https://docs.docker.com/reference/dockerfile/) describes it and
//! its source defines it.

mod arguments;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod instruction;
mod lower;
mod paths;
mod platform;
mod stages;
mod syntax;
mod translate;
mod warning;

pub use arguments::{Arguments, BaseImage, Configs, NamedContext, Translate};
pub use file::{Dockerfile, Lowered};
