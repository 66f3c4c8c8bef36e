//! The meaning of a template without its form: aliases and merges are replaced by what they stand for.

use std::collections::BTreeMap;

use super::node::{Content, Node};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontend::sam) enum Tree {
    Scalar { tag: Option<String>, text: String, is_plain: bool },
    Sequence { tag: Option<String>, items: Vec<Tree> },
    Mapping { tag: Option<String>, entries: BTreeMap<String, Tree> },
}

impl Tree {
    pub fn of(node: &Node) -> Tree {
        let node = node.target();
        let tag = node.tag.clone();
        match &node.content {
            Content::Scalar { text, is_plain } => {
                Tree::Scalar { tag, text: text.clone(), is_plain: *is_plain }
            }
            Content::Sequence { items } => {
                Tree::Sequence { tag, items: items.iter().map(|item| Tree::of(item)).collect() }
            }
            Content::Mapping(mapping) => {
                let entries = mapping.all().into_iter();
                let named =
                    entries.filter_map(|entry| Some((entry.key.text()?.to_owned(), Tree::of(&entry.value))));
                Tree::Mapping { tag, entries: named.collect() }
            }
            Content::Alias(target) => Tree::of(target),
        }
    }

    /// The entries of the mapping at a path, whose missing mappings are made.
    pub fn mapping_at(&mut self, path: &[&str]) -> Option<&mut BTreeMap<String, Tree>> {
        let entries = match self {
            Tree::Mapping { entries, .. } => entries,
            Tree::Scalar { text, is_plain: true, tag: None } if text.is_empty() => {
                *self = Tree::Mapping { tag: None, entries: BTreeMap::new() };
                return self.mapping_at(path);
            }
            _ => return None,
        };
        match path {
            [] => Some(entries),
            [first, rest @ ..] => {
                let empty = || Tree::Mapping { tag: None, entries: BTreeMap::new() };
                entries.entry((*first).to_owned()).or_insert_with(empty).mapping_at(rest)
            }
        }
    }

    /// The number of strings, numbers and the like.
    pub fn scalars(&self) -> usize {
        match self {
            Tree::Scalar { .. } => 1,
            Tree::Sequence { items, .. } => items.iter().map(Tree::scalars).sum(),
            Tree::Mapping { entries, .. } => entries.values().map(Tree::scalars).sum(),
        }
    }
}
