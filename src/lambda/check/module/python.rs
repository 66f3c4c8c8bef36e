//! Python: what a module's top level binds.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::{ANY, children, name, parse, text};

/// The names that the module binds.
pub fn names(source: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // What writes into the module by other ways can bind any name.
    let by_other_ways = ["globals()", "exec(", "sys.modules", "__dict__", "setattr("];
    let holds = |word: &str| source.windows(word.len()).any(|window| window == word.as_bytes());
    match parse(source, &tree_sitter_python::LANGUAGE.into()) {
        Some(tree) if !by_other_ways.into_iter().any(holds) => {
            // By a list and not by recursion: the text may nest as deep as it likes.
            let mut ahead = vec![tree.root_node()];
            while let Some(node) = ahead.pop() {
                statement(node, source, &mut names, &mut ahead);
            }
        }
        _ => {
            names.insert(ANY.to_owned());
        }
    }
    names
}

/// Takes in what a node binds, and leaves what is to be looked at next in `ahead`.
fn statement<'t>(node: Node<'t>, source: &[u8], names: &mut BTreeSet<String>, ahead: &mut Vec<Node<'t>>) {
    match node.kind() {
        // What is bound within is not the module's.
        "function_definition" | "class_definition" => {
            let Some(bound) = node.child_by_field_name("name") else { return };
            match text(bound, source) {
                "__getattr__" => names.insert(ANY.to_owned()),
                bound => names.insert(bound.to_owned()),
            };
        }
        "lambda"
        | "list_comprehension"
        | "set_comprehension"
        | "dictionary_comprehension"
        | "generator_expression" => {}
        "import_statement" | "import_from_statement" | "future_import_statement" => {
            import(node, source, names)
        }
        "assignment"
        | "augmented_assignment"
        | "for_statement"
        | "named_expression"
        | "as_pattern"
        | "type_alias_statement" => {
            for field in ["left", "name", "alias"] {
                node.child_by_field_name(field).into_iter().for_each(|target| bind(target, source, names));
            }
            ahead.extend(children(node));
        }
        "as_pattern_target" => bind(node, source, names),
        _ => ahead.extend(children(node)),
    }
}

/// `import a.b` binds `a`, `import a.b as c` and `from a import b as c` bind `c`.
fn import(node: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    let of = node.child_by_field_name("module_name");
    for part in children(node) {
        match part.kind() {
            "wildcard_import" => {
                names.insert(ANY.to_owned());
            }
            "aliased_import" => {
                part.child_by_field_name("alias").into_iter().for_each(|alias| name(alias, source, names));
            }
            "dotted_name" if Some(part) != of => {
                let whole = text(part, source);
                names.insert(whole.split('.').next().unwrap_or(whole).to_owned());
            }
            _ => {}
        }
    }
}

/// What an assignment binds: names, also in patterns, but neither attributes nor items.
fn bind(target: Node<'_>, source: &[u8], names: &mut BTreeSet<String>) {
    let mut ahead = vec![target];
    while let Some(node) = ahead.pop() {
        match node.kind() {
            "identifier" => name(node, source, names),
            "attribute" | "subscript" | "call" => {}
            _ => ahead.extend(children(node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Vec<String> {
        names(text.as_bytes()).into_iter().collect()
    }

    #[test]
    fn whatever_binds_a_name_is_seen() {
        for (text, expected) in [
            ("def handler(event, context):\n    inner = 1\n", &["handler"][..]),
            ("async def handler(e, c): pass\nclass A:\n    b = 1\n", &["A", "handler"]),
            ("@decorate(x)\ndef handler(e, c): pass\n", &["handler"]),
            ("from a.b import handler, c as d\nimport e.f, g.h as i\n", &["d", "e", "handler", "i"]),
            ("from . import (\n    handler,\n)\n", &["handler"]),
            ("a = handler = make()\n", &["a", "handler"]),
            ("(a, *b), c.d, e[0] = f()\n", &["a", "b"]),
            ("handler: Callable = x\n", &["handler"]),
            ("if X:\n    def handler(e, c): pass\nelse:\n    from a import handler\n", &["handler"]),
            ("try:\n    import a\nexcept E as b:\n    c = 1\nfinally:\n    d = 1\n", &["a", "b", "c", "d"]),
            ("for a in b:\n    with open(c) as d:\n        e = 1\n", &["a", "d", "e"]),
            ("x = [y for y in z]\nif (handler := f()): pass\n", &["handler", "x"]),
            ("match a:\n    case 1:\n        handler = 1\n", &["handler"]),
        ] {
            assert_eq!(bound(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_may_be_anything() {
        for text in [
            "from a import *\n",
            "def __getattr__(name): return 1\n",
            "globals()['handler'] = f\n",
            "exec('handler = 1')\n",
            "def handler(:\n",
            "setattr(module, 'handler', f)\n",
        ] {
            assert!(bound(text).contains(&"*".to_owned()), "{text}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = "(".repeat(100_000) + &")".repeat(100_000);
        names(deep.as_bytes());
        let deep: String = (0..3000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect::<String>()
            + &" ".repeat(3000)
            + "a = 1\n";
        names(deep.as_bytes());
    }
}
