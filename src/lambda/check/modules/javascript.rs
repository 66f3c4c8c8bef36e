//! JavaScript: the names that an ES module or a CommonJS module exports.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::syntax::{ANY, children, name, parse, text};

/// The names that the module exports.
pub fn names(source: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(tree) = parse(source, &tree_sitter_javascript::LANGUAGE.into()) else {
        return BTreeSet::from([ANY.to_owned()]);
    };
    let root = tree.root_node();
    let functions = functions(root, source);
    let exports = |node: &Node<'_>| node.kind() == "export_statement";
    let of_es_module: Vec<Node<'_>> = children(root).into_iter().filter(exports).collect();
    // A module with `export` statements has no other exports; a bundled CommonJS module may assign to `exports`.
    if !of_es_module.is_empty() {
        of_es_module.into_iter().for_each(|node| export(node, &functions, source, &mut names));
        return names;
    }
    // A stack instead of recursion: the source may be nested to any depth.
    let mut ahead = vec![(root, true)];
    while let Some((node, is_outer)) = ahead.pop() {
        // Outside of functions, `this` is `module.exports`.
        let is_outer = is_outer && !OWN_THIS.contains(&node.kind());
        let within = visit(node, &functions, is_outer, source, &mut names);
        ahead.extend(within.into_iter().map(|child| (child, is_outer)));
    }
    names
}

/// Nodes with their own `this`.
const OWN_THIS: [&str; 6] = [
    "function_expression",
    "function_declaration",
    "generator_function",
    "generator_function_declaration",
    "method_definition",
    "class_body",
];

/// Function nodes. A function does not have properties that could be a handler.
const FUNCTIONS: [&str; 3] = ["arrow_function", "function_expression", "generator_function"];

/// Upper bound on chained assignments such as `exports = module.exports = {}`.
const MAX_ROW: usize = 20;

fn any(names: &mut BTreeSet<String>) {
    names.insert(ANY.to_owned());
}

/// Adds the names of an `export const a = …`, `export { a as b }`, `export default …`, `export * from …`.
fn export(node: Node<'_>, functions: &BTreeSet<&str>, source: &[u8], names: &mut BTreeSet<String>) {
    let mut cursor = node.walk();
    let words: Vec<&str> = node.children(&mut cursor).map(|child| child.kind()).collect();
    if words.contains(&"default") {
        names.insert("default".to_owned());
        // Newer runtimes also search the properties of a default export that is an object.
        if let Some(value) = node.child_by_field_name("value") {
            exported_whole(value, functions, source, names);
        }
        return;
    }
    if words.contains(&"*") {
        any(names);
    }
    if let Some(declared) = node.child_by_field_name("declaration") {
        declaration(declared, source, names);
    }
    for part in children(node) {
        match part.kind() {
            "export_clause" => {
                for specifier in children(part) {
                    let alias = specifier
                        .child_by_field_name("alias")
                        .or_else(|| specifier.child_by_field_name("name"));
                    alias.into_iter().for_each(|alias| word(alias, source, names));
                }
            }
            "namespace_export" => children(part).into_iter().for_each(|alias| word(alias, source, names)),
            _ => {}
        }
    }
}

/// Adds the names of a value that is exported as a whole: the keys of an object, none of a function, any of other
/// values.
fn exported_whole(value: Node<'_>, functions: &BTreeSet<&str>, source: &[u8], names: &mut BTreeSet<String>) {
    let mut value = value;
    for _ in 0..MAX_ROW {
        let is_assignment = value.kind() == "assignment_expression";
        let Some(right) = value.child_by_field_name("right").filter(|_| is_assignment) else { break };
        value = right;
    }
    match value.kind() {
        "object" => object(value, source, names),
        kind if FUNCTIONS.contains(&kind) => {}
        "identifier" if functions.contains(text(value, source)) => {}
        _ => any(names),
    }
}

/// The names of functions that are constants or declarations, unless a use of the name could give them properties.
fn functions<'s>(root: Node<'_>, source: &'s [u8]) -> BTreeSet<&'s str> {
    let is_const =
        |node: Node<'_>| node.child_by_field_name("kind").is_some_and(|kind| text(kind, source) == "const");
    let declared = children(root).into_iter().flat_map(|node| match node.kind() {
        "lexical_declaration" if is_const(node) => children(node),
        _ => vec![node],
    });
    let is_function = |node: &Node<'_>| match node.kind() {
        "function_declaration" | "generator_function_declaration" => true,
        _ => node.child_by_field_name("value").is_some_and(|value| FUNCTIONS.contains(&value.kind())),
    };
    let named = declared.filter(is_function).filter_map(|node| node.child_by_field_name("name"));
    let mut names: BTreeSet<&str> = named.map(|node| text(node, source)).collect();
    // Such uses are `name.`, `name[` and `(name,`: one pass finds them for all names.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$".contains(byte) || !byte.is_ascii();
    let mut start = 0_usize;
    for part in source.split(|byte| !is_of_name(byte)) {
        let before = start.checked_sub(1).map(|at| source[at]);
        let is_changed = match source.get(start + part.len()) {
            Some(b'.' | b'[') => true,
            Some(b',') => before == Some(b'('),
            _ => false,
        };
        if is_changed && let Ok(name) = std::str::from_utf8(part) {
            names.remove(name);
        }
        start += part.len() + 1;
    }
    names
}

/// Adds the names that a declaration binds, also by patterns.
fn declaration(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    if let Some(bound) = node.child_by_field_name("name") {
        return name(bound, source, names);
    }
    let declarators = children(node).into_iter().filter_map(|child| child.child_by_field_name("name"));
    let mut ahead: Vec<Node<'_>> = declarators.collect();
    while let Some(node) = ahead.pop() {
        match node.kind() {
            "identifier" | "shorthand_property_identifier_pattern" => name(node, source, names),
            "pair_pattern" => ahead.extend(node.child_by_field_name("value")),
            "assignment_pattern" | "object_assignment_pattern" => {
                ahead.extend(node.child_by_field_name("left"))
            }
            _ => ahead.extend(children(node)),
        }
    }
}

/// Adds the names that a node of a CommonJS module exports. Returns the children that can export more.
fn visit<'t>(
    node: Node<'t>,
    functions: &BTreeSet<&str>,
    is_outer: bool,
    source: &[u8],
    names: &mut BTreeSet<String>,
) -> Vec<Node<'t>> {
    let is_exports = |node: Node<'_>| is_exports(node, source);
    let mut within = children(node);
    match node.kind() {
        "assignment_expression" => {
            let Some(left) = node.child_by_field_name("left") else { return within };
            let of = left.child_by_field_name("object").map(|object| object.kind());
            if is_exports(left) {
                exported_whole(node, functions, source, names);
                within.retain(|child| *child != left);
            } else if is_outer && of == Some("this") {
                property(left, source, names);
            }
        }
        "member_expression" | "subscript_expression" => {
            let Some(object) = node.child_by_field_name("object") else { return within };
            if is_exports(node) {
                any(names);
            } else if is_exports(object) {
                // Set or read: code that reads a property expects it to exist.
                property(node, source, names);
            } else if !reads(object, source, "module") || key(node, source).is_none() {
                return within;
            }
            within.retain(|child| *child != object);
        }
        "call_expression" => {
            let arguments = node.child_by_field_name("arguments").map(children).unwrap_or_default();
            let function = node.child_by_field_name("function");
            if function.is_some_and(|function| reads(function, source, "Object.defineProperty"))
                && let [of, property, rest @ ..] = &arguments[..]
                && is_exports(*of)
                && property.kind() == "string"
            {
                word(*property, source, names);
                return rest.to_vec();
            }
        }
        // A comparison or type test exports nothing.
        "binary_expression" | "unary_expression" if is_test(node, source) => {
            within.retain(|child| child.kind() != "identifier" && !is_exports(*child));
        }
        "arguments" | "variable_declarator"
            if is_outer && within.iter().any(|child| child.kind() == "this") =>
        {
            any(names);
        }
        // Any other use can export any name.
        "identifier" | "shorthand_property_identifier" | "shorthand_property_identifier_pattern"
            if ["exports", "module", "eval"].contains(&text(node, source)) =>
        {
            any(names);
        }
        _ => {}
    }
    within
}

/// Adds the name of a property: after the dot, or in brackets.
fn property(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    match key(node, source) {
        Some(key) => drop(names.insert(key.to_owned())),
        None => any(names),
    }
}

fn key<'s>(node: Node<'_>, source: &'s [u8]) -> Option<&'s str> {
    if let Some(property) = node.child_by_field_name("property") {
        return Some(text(property, source));
    }
    let index = node.child_by_field_name("index").filter(|index| index.kind() == "string")?;
    Some(text(index, source).trim_matches(['"', '\'']))
}

/// Whether a node is `exports`, `module.exports` or `module["exports"]`.
fn is_exports(node: Node<'_>, source: &[u8]) -> bool {
    match node.kind() {
        "identifier" => reads(node, source, "exports"),
        "member_expression" | "subscript_expression" => {
            let object = node.child_by_field_name("object");
            object.is_some_and(|object| reads(object, source, "module"))
                && key(node, source) == Some("exports")
        }
        _ => false,
    }
}

/// Whether a node's source equals `text`. Nested nodes do not make this quadratic: slices of different lengths are
/// unequal without a comparison of their bytes.
fn reads(node: Node<'_>, source: &[u8], text: &str) -> bool {
    source[node.byte_range()] == *text.as_bytes()
}

/// Whether a node is a comparison or a type test.
fn is_test(node: Node<'_>, source: &[u8]) -> bool {
    let operator = node.child_by_field_name("operator").map(|operator| text(operator, source));
    operator.is_some_and(|operator| ["===", "!==", "==", "!=", "typeof"].contains(&operator))
}

/// Adds the keys of `{ a, b: …, c() {} }`; a spread or computed key may be any name.
fn object(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    for part in children(node) {
        let key = match part.kind() {
            "shorthand_property_identifier" => Some(part),
            "pair" => part.child_by_field_name("key"),
            "method_definition" => part.child_by_field_name("name"),
            "comment" => continue,
            _ => None,
        };
        match key.filter(|key| key.kind() != "computed_property_name") {
            Some(key) => word(key, source, names),
            None => any(names),
        }
    }
}

/// Adds a name, without its quotes.
fn word(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    names.insert(text(node, source).trim_matches(['"', '\'']).to_owned());
}

#[cfg(test)]
mod tests;
