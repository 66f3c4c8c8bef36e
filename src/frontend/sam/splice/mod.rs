//! Changes a template as a text: nothing but the values that change is written again.
//!
//! Each change is a range of bytes and its new text. The result is parsed, and must mean what the template meant, with the
//! changes: an anchor that others use, or a comment that would become part of a text, is found that way.

mod change;
mod editor;
mod edits;
mod shared;

use std::collections::HashSet;
use std::sync::Arc;

pub(super) use self::change::Change;
use self::change::place;
use self::editor::Editor;
pub(super) use self::edits::Edits;
use super::document::{self, Language, Node, Tree};
use super::function::{ImageFunction, SKIP_BUILD, is_of_build};
use crate::frontend::fault::{Fault, Parsed};

/// The treatment of the keys of Metadata that describe a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildKeys {
    /// Remove them, so that no tool builds the image again.
    Remove,
    /// Keep them, and add `SkipBuild: true`, with which `sam build` leaves the function alone.
    Keep,
}

/// The template with the images of these functions.
pub(super) fn splice(
    text: &str,
    (language, root): (Language, &Arc<Node>),
    changes: &[Change<'_>],
    build_keys: BuildKeys,
) -> Parsed<String> {
    if let Some(spliced) = attempt(text, (language, root), changes, build_keys)? {
        return Ok(spliced);
    }
    // The first function that cannot be changed by itself.
    let mut alone = changes.iter();
    let fails = |change: &&Change<'_>| {
        !matches!(attempt(text, (language, root), std::slice::from_ref(change), build_keys), Ok(Some(_)))
    };
    let at =
        alone.find(fails).or(changes.first()).and_then(|change| place(root, change.function)).unwrap_or(0);
    let message =
        "the image of this function cannot be written into the template without changing other parts";
    let hint = "write its Properties and Metadata out once, in lines of their own: without anchors, merges and complex keys";
    Err(Fault::new(at, message).hint(hint))
}

/// The template with these changes; `None` if other parts would change too.
fn attempt(
    text: &str,
    (language, root): (Language, &Arc<Node>),
    changes: &[Change<'_>],
    build_keys: BuildKeys,
) -> Parsed<Option<String>> {
    let kept = match build_keys {
        BuildKeys::Keep => changes.iter().map(|change| &*change.function.logical_id).collect(),
        BuildKeys::Remove => shared::kept(root, changes),
    };
    // With the comments between removed keys, and if one of them would change what stands above it, without.
    for with_comments in [true, false] {
        let mut editor = Editor::new(text, language, with_comments);
        for change in changes {
            editor.change(root, change, kept.contains(&*change.function.logical_id))?;
        }
        let spliced = editor.finish()?;
        if is_as_meant(&spliced, root, changes) {
            return Ok(Some(spliced));
        }
    }
    Ok(None)
}

/// Whether a spliced template means what the old one meant, but for the images of the changed functions.
fn is_as_meant(spliced: &str, old: &Node, changes: &[Change<'_>]) -> bool {
    let Ok((_, root)) = document::parse(spliced) else { return false };
    let (mut expected, mut found) = (Tree::of(old), Tree::of(&root));
    changes.iter().all(|change| {
        let Some(image) = image_mapping(&mut expected, change.function) else { return false };
        let uri = Tree::Scalar { tag: None, text: change.image_uri.to_owned(), is_plain: false };
        image.insert("ImageUri".to_owned(), uri);
        let Some(image) = image_mapping(&mut found, change.function) else { return false };
        if let Some(Tree::Scalar { is_plain, .. }) = image.get_mut("ImageUri") {
            *is_plain = false;
        }
        without_build_keys(&mut expected, change.function);
        let left = without_build_keys(&mut found, change.function);
        left.is_empty() || left.contains(SKIP_BUILD)
    }) && expected == found
}

fn image_mapping<'t>(
    tree: &'t mut Tree,
    function: &ImageFunction,
) -> Option<&'t mut std::collections::BTreeMap<String, Tree>> {
    tree.mapping_at(&[&["Resources", &*function.logical_id], function.resource.path()].concat())
}

/// Removes the keys of a build from the metadata of a function, and returns them.
fn without_build_keys(tree: &mut Tree, function: &ImageFunction) -> HashSet<String> {
    let Some(resource) = tree.mapping_at(&["Resources", &function.logical_id]) else { return HashSet::new() };
    let mut removed = HashSet::new();
    if let Some(Tree::Mapping { entries, .. }) = resource.get_mut("Metadata") {
        removed.extend(entries.keys().filter(|key| is_of_build(key)).cloned());
        entries.retain(|key, _| !is_of_build(key));
        if entries.is_empty() {
            resource.remove("Metadata");
        }
    }
    removed
}
