//! The names that a module binds for others, by its text, and the classes that an archive of Java has.
//!
//! Parsed, not guessed: whatever could bind more names than can be read off the text gives `*`, which stands for any.

mod jar;
mod javascript;
mod python;

use std::collections::BTreeSet;

use tree_sitter::{Language, Node, Parser, Tree};

#[cfg(test)]
pub(super) use jar::jar;
pub(super) use jar::{class_file, has_class};
pub(super) use javascript::names as javascript;
pub(super) use python::names as python;

/// Any name.
const ANY: &str = "*";

/// The tree of a text; `None` for one that the grammar does not know, as it may be of a newer language.
fn parse(text: &[u8], language: &Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let tree = parser.parse(text, None)?;
    (!tree.root_node().has_error()).then_some(tree)
}

/// A node's text.
fn text<'t>(node: Node<'_>, source: &'t [u8]) -> &'t str {
    std::str::from_utf8(&source[node.byte_range()]).unwrap_or_default()
}

/// A node's text as a name.
fn name(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    names.insert(text(node, source).to_owned());
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}
