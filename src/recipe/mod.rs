//! The build as plain data: the only input of the engine.
//!
//! Every front-end (flags, a file) lowers to a [`Recipe`], and one engine executes it. A recipe can be written and read
//! as JSON; `lbuild plan` prints one after [`pin`](crate::Engine::pin) has made it exact.

mod base;
mod check;
mod copy;
mod install;
mod layer_arn;
mod lock;
mod origin;
mod pathname;
mod run;
mod source;
mod stages;
mod step;
mod translation;

pub use base::Base;
pub use copy::{BuildContext, CopyFiles, CopySource};
pub use install::{NodeInstall, NodeInstaller, PythonInstall, PythonInstaller};
pub use layer_arn::LayerArn;
pub use lock::{LockExport, LockSelection, LockTool, LockedProject};
pub use origin::Origin;
pub use pathname::Pathname;
pub use run::{Access, Command, Mount, MountFrom, Network, Run, Sharing};
pub use source::{Bytecode, ImageFiles, LambdaLayer, Npm, Python, Requirements, Source, Wheel};
pub use stages::{DEFAULT_EPOCH, Recipe, Stage};
pub use step::{Add, Step};
pub use translation::{
    AccountTool, AddGroup, AddUser, Find, FindAction, FindIs, FindTest, Follow, IntoDirectory, Operation,
    Piece, Transfer, Translated, Translation, Untranslated,
};
