//! A template as a tree of nodes, each with its place in the text.

mod indented;
mod json;
mod node;
mod tree;
mod yaml;

use std::sync::Arc;

use self::node::MOST_LEVELS;
use crate::frontend::fault::{Fault, Parsed};

pub(super) use self::node::{Argument, Content, Entry, MERGE, Mapping, Node};
pub(super) use self::tree::Tree;

/// The language of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Json,
    Yaml,
}

/// The most nodes of a template in which every alias is replaced by its node.
const MOST_NODES: usize = 1 << 21;
/// Reads a template: JSON, or else YAML.
pub(super) fn parse(text: &str) -> Parsed<(Language, Arc<Node>)> {
    let (language, root) = match json::parse(text) {
        Some(root) => (Language::Json, root),
        None => (Language::Yaml, yaml::parse(text)?),
    };
    let mut nodes = 0;
    count(&root, 0, &mut nodes)?;
    Ok((language, root))
}

/// Counts the nodes, with those behind aliases each time.
fn count(node: &Node, level: usize, nodes: &mut usize) -> Parsed<()> {
    *nodes += 1;
    if *nodes > MOST_NODES {
        return Err(Fault::new(node.span.start, "the template is too large with all its aliases"));
    }
    if level > MOST_LEVELS {
        return Err(Fault::new(node.span.start, "the template is nested too deeply"));
    }
    match &node.content {
        Content::Scalar { .. } => Ok(()),
        Content::Sequence { items } => items.iter().try_for_each(|item| count(item, level + 1, nodes)),
        Content::Mapping(Mapping { entries, .. }) => {
            entries.iter().try_for_each(|entry| count(&entry.value, level + 1, nodes))
        }
        Content::Alias(target) => count(target, level + 1, nodes),
    }
}
