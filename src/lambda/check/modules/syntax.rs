//! The syntax tree of a module.

use std::collections::BTreeSet;

use tree_sitter::{Language, Node, Parser, Tree};

/// Stands for any name.
pub const ANY: &str = "*";

/// The syntax tree of a source; `None` for a syntax error, as the source may use a newer version of the language.
pub fn parse(text: &[u8], language: &Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let tree = parser.parse(text, None)?;
    (!tree.root_node().has_error()).then_some(tree)
}

/// The source of a node.
pub fn text<'t>(node: Node<'_>, source: &'t [u8]) -> &'t str {
    std::str::from_utf8(&source[node.byte_range()]).unwrap_or_default()
}

/// Adds the source of a node to the names.
pub fn name(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    names.insert(text(node, source).to_owned());
}

pub fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}
