//! JavaScript: what a module exports, by either kind of module.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::{ANY, children, name, parse, text};

/// The names that the module exports.
pub fn names(source: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(tree) = parse(source, &tree_sitter_javascript::LANGUAGE.into()) else {
        return BTreeSet::from([ANY.to_owned()]);
    };
    // By a list and not by recursion: the text may nest as deep as it likes.
    let mut ahead = vec![tree.root_node()];
    while let Some(node) = ahead.pop() {
        match node.kind() {
            "export_statement" => export(node, source, &mut names),
            "assignment_expression" if assigns(node, source, &mut names) => {
                ahead.extend(node.child_by_field_name("right"));
                continue;
            }
            "call_expression" if defines(node, source, &mut names) => {
                ahead.extend(
                    node.child_by_field_name("arguments")
                        .into_iter()
                        .flat_map(|all| children(all).into_iter().skip(1)),
                );
                continue;
            }
            // Whatever else is done with it can export anything.
            "identifier" if text(node, source) == "exports" => any(&mut names),
            "member_expression" if is_exports(node, source) => any(&mut names),
            _ => {}
        }
        ahead.extend(children(node));
    }
    names
}

fn any(names: &mut BTreeSet<String>) {
    names.insert(ANY.to_owned());
}

/// `export const a = …`, `export { a as b }`, `export default …`, `export * from …`.
fn export(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    let mut cursor = node.walk();
    let words: Vec<&str> = node.children(&mut cursor).map(|child| child.kind()).collect();
    if words.contains(&"default") {
        names.insert("default".to_owned());
    }
    if words.contains(&"*") {
        names.insert(ANY.to_owned());
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

/// The names that a declaration binds, also by patterns.
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

/// `exports.a = …`, `module.exports.a = …`, `module.exports = { a, b: … }`; whether it is one of these.
fn assigns(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) -> bool {
    let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right"))
    else {
        return false;
    };
    if is_exports(left, source) {
        match right.kind() {
            "object" => object(right, source, names),
            _ => any(names),
        }
        return true;
    }
    let of = left.child_by_field_name("object").is_some_and(|object| is_exports(object, source));
    let property = left.child_by_field_name("property").or_else(|| left.child_by_field_name("index"));
    match property {
        Some(property) if of => match property.kind() {
            "property_identifier" | "string" => word(property, source, names),
            _ => any(names),
        },
        _ => return false,
    }
    true
}

/// `Object.defineProperty(exports, "a", …)`; whether it is that.
fn defines(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) -> bool {
    let function = node.child_by_field_name("function").map(|function| text(function, source));
    let arguments = node.child_by_field_name("arguments").map(children).unwrap_or_default();
    match (function, &arguments[..]) {
        (Some("Object.defineProperty"), [of, property, ..])
            if is_exports(*of, source) && property.kind() == "string" =>
        {
            word(*property, source, names);
            true
        }
        _ => false,
    }
}

/// The keys of `{ a, b: …, c() {} }`; what is spread or computed may be anything.
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

fn is_exports(node: Node<'_>, source: &[u8]) -> bool {
    match node.kind() {
        "identifier" => text(node, source) == "exports",
        "member_expression" => text(node, source) == "module.exports",
        _ => false,
    }
}

/// A name, with quotes or without.
fn word(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    names.insert(text(node, source).trim_matches(['"', '\'']).to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(text: &str) -> Vec<String> {
        names(text.as_bytes()).into_iter().collect()
    }

    #[test]
    fn whatever_exports_a_name_is_seen() {
        for (text, expected) in [
            ("export const handler = async () => {};", &["handler"][..]),
            ("export async function handler() {}\nexport class A {}", &["A", "handler"]),
            ("const a = 1; export { a, a as handler, a as 'x y' };", &["a", "handler", "x y"]),
            ("export { handler } from './other.mjs'; export * as ns from './x.mjs';", &["handler", "ns"]),
            ("export default async () => {};", &["default"]),
            ("export const { a, b: [handler], ...c } = f(), d = 1;", &["a", "c", "d", "handler"]),
            ("exports.handler = async () => {};", &["handler"]),
            ("module.exports.handler = f; exports['b'] = g;", &["b", "handler"]),
            ("module.exports = { handler, b: 1, 'c': 2, d() {} };", &["b", "c", "d", "handler"]),
            ("exports.a = exports.handler = void 0;", &["a", "handler"]),
            ("Object.defineProperty(exports, 'handler', { get() { return 1; } });", &["handler"]),
            ("'use strict';\nconst local = 1;", &[]),
        ] {
            assert_eq!(exported(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_may_be_anything() {
        for text in [
            "module.exports = require('./other');",
            "module.exports = { ...other };",
            "module.exports = { [name]: 1 };",
            "export * from './other.mjs';",
            "exports[name] = 1;",
            "__exportStar(require('./other'), exports);",
            "(function (e) { e.handler = 1; })(exports);",
            "Object.assign(module.exports, other);",
            "export const handler = ;",
        ] {
            assert!(exported(text).contains(&"*".to_owned()), "{text}");
        }
    }
}
