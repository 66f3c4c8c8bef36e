//! Finds the functions whose metadata cannot be removed.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::change::Change;
use crate::frontend::sam::document::{Content, Entry, Mapping, Node};
use crate::frontend::sam::function::{is_of_build, is_only_of_build};

/// The functions that keep the keys of their builds, with `SkipBuild: true`: because an anchor among these keys is used
/// elsewhere, or because the keys come from elsewhere together with others.
pub(super) fn kept<'c>(root: &Arc<Node>, changes: &[Change<'c>]) -> HashSet<&'c str> {
    let mut kept = HashSet::new();
    loop {
        let removals = changes.iter().filter(|change| !kept.contains(&*change.function.logical_id));
        let removals: Vec<_> = removals.map(|change| (change, removed(root, change))).collect();
        let ranges: Vec<Range<usize>> =
            removals.iter().filter_map(|(_, removed)| removed.as_ref()).flatten().map(Entry::range).collect();
        let mut used = HashSet::new();
        aliases_outside(root, &ranges, &mut used);
        let more: Vec<_> = removals
            .iter()
            .filter(|(_, removed)| match removed {
                Some(entries) => entries.iter().any(|entry| has_anchor_of(&entry.value, &used)),
                None => true,
            })
            .map(|(change, _)| &*change.function.logical_id)
            .collect();
        if more.is_empty() {
            return kept;
        }
        kept.extend(more);
    }
}

/// The entries that go from the metadata of a function, or the metadata itself; `None` if that is not possible.
fn removed(root: &Node, change: &Change<'_>) -> Option<Vec<Entry>> {
    let resource = root.get("Resources")?.mapping()?.own(&change.function.logical_id)?;
    let Content::Mapping(resource) = &resource.value.content else { return None };
    let metadata = resource.own("Metadata")?;
    if is_only_of_build(metadata.value.mapping()?) {
        return Some(vec![metadata.clone()]);
    }
    let Content::Mapping(mapping) = &metadata.value.content else { return None };
    going(mapping)
}

/// The entries of metadata that go, if others stay; `None` if keys of the build are merged together with others.
pub(super) fn going(metadata: &Mapping) -> Option<Vec<Entry>> {
    let mut going = Vec::new();
    for entry in &metadata.entries {
        match entry.is_merge() {
            true => {
                let keys = Mapping { entries: vec![entry.clone()], is_flow: false };
                let all = keys.all();
                let of_build = all.iter().filter(|entry| entry.key.text().is_some_and(is_of_build)).count();
                match of_build {
                    0 => {}
                    _ if of_build == all.len() => going.push(entry.clone()),
                    _ => return None,
                }
            }
            false if entry.key.text().is_some_and(is_of_build) => going.push(entry.clone()),
            false => {}
        }
    }
    Some(going)
}

impl Entry {
    /// From the key to the end of the value.
    pub fn range(&self) -> Range<usize> {
        self.key.span.start..self.value.span.end.max(self.key.span.end)
    }
}

/// Collects the nodes that aliases outside these ranges refer to.
fn aliases_outside(node: &Node, ranges: &[Range<usize>], used: &mut HashSet<*const Node>) {
    match &node.content {
        Content::Scalar { .. } => {}
        Content::Sequence { items } => items.iter().for_each(|item| aliases_outside(item, ranges, used)),
        Content::Mapping(mapping) => {
            mapping.entries.iter().for_each(|entry| aliases_outside(&entry.value, ranges, used));
        }
        Content::Alias(target) => {
            if !ranges.iter().any(|range| range.contains(&node.span.start)) {
                used.insert(Arc::as_ptr(target));
            }
        }
    }
}

/// Whether a node, or one in it, is one of these.
fn has_anchor_of(node: &Arc<Node>, used: &HashSet<*const Node>) -> bool {
    if node.is_anchor && used.contains(&Arc::as_ptr(node)) {
        return true;
    }
    match &node.content {
        Content::Scalar { .. } | Content::Alias(_) => false,
        Content::Sequence { items } => items.iter().any(|item| has_anchor_of(item, used)),
        Content::Mapping(mapping) => mapping.entries.iter().any(|entry| has_anchor_of(&entry.value, used)),
    }
}
