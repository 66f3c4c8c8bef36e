//! The nodes of a template.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A value, as it is written.
#[derive(Debug)]
pub(in crate::frontend::sam) struct Node {
    /// The bytes of the value, with its tag and anchor. A collection in block style ends with its last value.
    pub span: Range<usize>,
    /// The local tag without its `!`, as `Sub`.
    pub tag: Option<String>,
    pub is_anchor: bool,
    pub content: Content,
}

#[derive(Debug)]
pub(in crate::frontend::sam) enum Content {
    Scalar {
        text: String,
        /// Not quoted, so that it may be a number, a boolean or null.
        is_plain: bool,
    },
    Sequence {
        items: Vec<Arc<Node>>,
    },
    Mapping(Mapping),
    /// `*name`: the node with that anchor.
    Alias(Arc<Node>),
}

#[derive(Debug)]
pub(in crate::frontend::sam) struct Mapping {
    pub entries: Vec<Entry>,
    /// Written in braces.
    pub is_flow: bool,
}

#[derive(Clone, Debug)]
pub(in crate::frontend::sam) struct Entry {
    pub key: Arc<Node>,
    pub value: Arc<Node>,
}

/// The most collections in one another.
pub(super) const MOST_LEVELS: usize = 128;
/// The key whose value is a mapping, or several, with entries for this one.
pub(in crate::frontend::sam) const MERGE: &str = "<<";

impl Node {
    /// Where a message about the value points.
    pub fn at(&self) -> usize {
        self.span.start
    }

    /// The node behind aliases.
    pub fn target(&self) -> &Node {
        match &self.content {
            Content::Alias(target) => target.target(),
            _ => self,
        }
    }

    /// The text of a scalar without a tag.
    pub fn text(&self) -> Option<&str> {
        match self.target() {
            Node { tag: None, content: Content::Scalar { text, .. }, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is written, or `null`.
    pub fn is_null(&self) -> bool {
        match &self.target().content {
            Content::Scalar { text, is_plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") && self.target().tag.is_none()
            }
            _ => false,
        }
    }

    /// The items of a sequence without a tag.
    pub fn items(&self) -> Option<&[Arc<Node>]> {
        match self.target() {
            Node { tag: None, content: Content::Sequence { items }, .. } => Some(items),
            _ => None,
        }
    }

    /// A mapping without a tag.
    pub fn mapping(&self) -> Option<&Mapping> {
        match self.target() {
            Node { tag: None, content: Content::Mapping(mapping), .. } => Some(mapping),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Arc<Node>> {
        self.mapping()?.get(key)
    }

    /// The name and the arguments of an intrinsic function: `!Sub x`, or a mapping with the one key `Fn::Sub`. `Ref` and
    /// `Condition` have no prefix in either form.
    pub fn intrinsic(&self) -> Option<(&str, Argument<'_>)> {
        let node = self.target();
        if let Some(tag) = &node.tag {
            return Some((tag, Argument::Tagged(node)));
        }
        let Content::Mapping(Mapping { entries, .. }) = &node.content else { return None };
        let [Entry { key, value }] = entries.as_slice() else { return None };
        let name = key.text()?;
        match name {
            "Ref" | "Condition" => Some((name, Argument::Node(value))),
            _ => name.strip_prefix("Fn::").map(|name| (name, Argument::Node(value))),
        }
    }
}

/// The arguments of an intrinsic function.
#[derive(Clone, Copy)]
pub(in crate::frontend::sam) enum Argument<'n> {
    /// The node itself, without its tag.
    Tagged(&'n Node),
    Node(&'n Node),
}

impl<'n> Argument<'n> {
    pub fn at(self) -> usize {
        match self {
            Argument::Tagged(node) | Argument::Node(node) => node.at(),
        }
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<&'n str> {
        match self {
            Argument::Tagged(Node { content: Content::Scalar { text, .. }, .. }) => Some(text),
            Argument::Tagged(_) => None,
            Argument::Node(node) => node.text(),
        }
    }

    /// The items, if it is a list.
    pub fn items(self) -> Option<&'n [Arc<Node>]> {
        match self {
            Argument::Tagged(Node { content: Content::Sequence { items }, .. }) => Some(items),
            Argument::Tagged(_) => None,
            Argument::Node(node) => node.items(),
        }
    }
}

impl Mapping {
    /// The entry with a key that is written here; the last of several.
    pub fn own(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key.text() == Some(key))
    }

    /// The value of a key that is written here or merged.
    pub fn get(&self, key: &str) -> Option<&Arc<Node>> {
        if let Some(entry) = self.own(key) {
            return Some(&entry.value);
        }
        self.merged().into_iter().find_map(|mapping| mapping.get(key))
    }

    /// The mappings of `<<`, the first of which counts.
    fn merged(&self) -> Vec<&Mapping> {
        let merges = self.entries.iter().filter(|entry| entry.is_merge());
        let mappings = merges.flat_map(|entry| match &entry.value.target().content {
            Content::Sequence { items } => items.iter().filter_map(|item| item.mapping()).collect(),
            Content::Mapping(mapping) => vec![mapping],
            _ => Vec::new(),
        });
        mappings.collect()
    }

    /// All entries with different keys: those that are written here, the last of several, then those that are merged.
    pub fn all(&self) -> Vec<&Entry> {
        let (mut places, mut found) = (HashMap::new(), Vec::new());
        self.collect(&mut places, &mut found);
        found
    }

    fn collect<'n>(&'n self, places: &mut HashMap<&'n str, usize>, found: &mut Vec<&'n Entry>) {
        let begun = found.len();
        for entry in self.entries.iter().filter(|entry| !entry.is_merge()) {
            let Some(key) = entry.key.text() else { continue };
            match places.get(key) {
                None => {
                    places.insert(key, found.len());
                    found.push(entry);
                }
                Some(&place) if place >= begun => found[place] = entry,
                Some(_) => {}
            }
        }
        self.merged().into_iter().for_each(|mapping| mapping.collect(places, found));
    }
}

impl Entry {
    pub fn is_merge(&self) -> bool {
        matches!(&self.key.content, Content::Scalar { text, is_plain: true } if text == MERGE)
    }
}
