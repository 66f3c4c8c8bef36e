//! The changes to make.

use crate::frontend::sam::document::Node;
use crate::frontend::sam::function::ImageFunction;

/// The image of a function.
#[derive(Clone, Copy, Debug)]
pub(in crate::frontend::sam) struct Change<'c> {
    pub function: &'c ImageFunction,
    /// The value for `ImageUri`.
    pub image_uri: &'c str,
}

/// The place of a function's name.
pub(super) fn place(root: &Node, function: &ImageFunction) -> Option<usize> {
    let resources = root.get("Resources")?.mapping()?;
    resources.own(&function.logical_id).map(|entry| entry.key.at())
}
