//! From a [`Source`] to its files.
//!
//! [`provider`] is the only code that lists the kinds of sources. Each kind implements
//! [`Provider`](part::Provider) in a file of its own; its [`Part`]s become layers.

mod address;
mod copy;
mod directory;
#[cfg(fuzzing)]
pub mod fuzzing;
mod ignore;
mod image;
mod lambda_layer;
mod local;
mod logins;
mod node;
mod part;
mod placing;
mod program;
mod python;
pub mod text;
mod zip;

pub(crate) use directory::hash_missing;
pub(crate) use image::{contents_at, file_of};
pub use lambda_layer::{LambdaLayers, LayerVersion};
pub(crate) use node::{NodeFault, NodeInstallation};
pub(crate) use part::{Context, Fetched, PackageInstall, Part, Provider, SourceImage, SourcePlan};
pub(crate) use placing::{Placing, Shape};
pub(crate) use python::{
    Contents, ImageLibc, InstallPlan, InstallSurroundings, PythonInstallation, deletions, export_lock,
};

use crate::recipe::Source;

/// The implementation for a source's kind.
pub(crate) fn provider(source: &Source) -> Box<dyn Provider + '_> {
    match source {
        Source::Directory { path, ignore, without } => {
            Box::new(directory::DirectoryProvider { path, ignore: *ignore, without })
        }
        Source::Program { path } => Box::new(directory::ProgramProvider { path }),
        Source::Zip { path } => Box::new(zip::ZipProvider { path }),
        Source::LambdaLayer(layer) => Box::new(lambda_layer::LambdaLayerProvider(layer)),
        Source::Image(files) => Box::new(image::ImageProvider(files)),
        Source::Copy(files) => Box::new(copy::CopyProvider(files)),
        Source::EmptyDirectory { owner, origin } => {
            Box::new(copy::EmptyDirectoryProvider { owner: owner.as_deref(), origin })
        }
        Source::Python(python) => Box::new(python::PythonProvider(python)),
        Source::Npm(npm) => Box::new(node::NodeProvider(npm)),
    }
}
