//! Python: the names that the top level of a module binds.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::syntax::{ANY, children, name, parse, text};

/// The scope that a node binds names in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The module.
    Module,
    /// A comprehension; only `:=` binds names of the module.
    Comprehension,
    /// A function or class; only `global` refers to names of the module.
    Inner,
}

/// The children of a node that are bound: names, also in patterns, but not attributes or items.
enum Bound<'t> {
    Nothing,
    One(Node<'t>),
    All,
}

impl<'t> Bound<'t> {
    /// `is_bound`: whether the node itself is bound. The caller passes it, so that no level searches its subtree.
    fn of(node: Node<'t>, scope: Scope, is_bound: bool) -> Bound<'t> {
        let field = match node.kind() {
            "attribute" | "subscript" | "call" => return Bound::Nothing,
            "global_statement" => return Bound::All,
            _ if is_bound => return Bound::All,
            "named_expression" if scope != Scope::Inner => "name",
            _ if scope != Scope::Module => return Bound::Nothing,
            "as_pattern_target" | "case_pattern" => return Bound::All,
            "assignment" | "augmented_assignment" | "for_statement" | "type_alias_statement" => "left",
            "as_pattern" => "alias",
            _ => return Bound::Nothing,
        };
        node.child_by_field_name(field).map_or(Bound::Nothing, Bound::One)
    }

    fn has(&self, child: Node<'_>) -> bool {
        match self {
            Bound::Nothing => false,
            Bound::One(bound) => *bound == child,
            Bound::All => true,
        }
    }
}

/// The names that the module binds.
pub fn names(source: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // These write into the module's namespace and can bind any name.
    let dynamic = ["globals()", "locals()", "vars()", "exec(", "sys.modules", "__dict__", "setattr("];
    let holds = |word: &str| source.windows(word.len()).any(|window| window == word.as_bytes());
    match parse(source, &tree_sitter_python::LANGUAGE.into()) {
        Some(tree) if !dynamic.into_iter().any(holds) => {
            // A stack instead of recursion: the source may be nested to any depth.
            let mut ahead = vec![(tree.root_node(), Scope::Module, false)];
            while let Some((node, scope, is_bound)) = ahead.pop() {
                if is_bound && node.kind() == "identifier" {
                    name(node, source, &mut names);
                }
                let Some(within) = visit(node, scope, source, &mut names) else { continue };
                let bound = Bound::of(node, scope, is_bound);
                ahead.extend(children(node).into_iter().map(|child| (child, within, bound.has(child))));
            }
        }
        _ => {
            names.insert(ANY.to_owned());
        }
    }
    names
}

/// Adds the names that a definition or import binds. Returns the scope of the node's children, if they can bind more.
fn visit(node: Node<'_>, scope: Scope, source: &[u8], names: &mut BTreeSet<String>) -> Option<Scope> {
    match node.kind() {
        "lambda" => None,
        "function_definition" | "class_definition" => {
            if scope == Scope::Module
                && let Some(bound) = node.child_by_field_name("name")
            {
                name(bound, source, names);
                if text(bound, source) == "__getattr__" {
                    names.insert(ANY.to_owned());
                }
            }
            Some(Scope::Inner)
        }
        "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression"
            if scope == Scope::Module =>
        {
            Some(Scope::Comprehension)
        }
        "import_statement" | "import_from_statement" | "future_import_statement"
            if scope == Scope::Module =>
        {
            import(node, source, names);
            None
        }
        _ => Some(scope),
    }
}

/// Adds the names of an import: `import a.b` binds `a`, `import a.b as c` and `from a import b as c` bind `c`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Vec<String> {
        names(text.as_bytes()).into_iter().collect()
    }

    #[test]
    fn every_kind_of_binding_is_found() {
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
            ("match a:\n    case [b, *c]:\n        d = 1\n", &["b", "c", "d"]),
            ("def init():\n    global handler\n    handler = 1\n    other = 2\n", &["handler", "init"]),
            ("class A:\n    def f(self):\n        global b\n        c = [d := 1]\n", &["A", "b"]),
            ("[last := x for x in y]\nf(lambda: (z := 1))\n", &["last"]),
            ("handler = Mangum(app)\nhandler = wrap(handler)\n", &["handler"]),
            ("a.b[(c := 1)], (d.e, [f, *g.h]) = i\n", &["c", "f"]),
            ("with a as (b, c.d), e as f[g]:\n    pass\n", &["b"]),
            ("match a:\n    case {1: [b], **c} as d:\n        pass\n", &["b", "c", "d"]),
            ("def f():\n    global a, b\n    with c as d: e = f = 1\n", &["a", "b", "f"]),
            ("# nothing\n\"\"\"Nothing.\"\"\"\n", &[]),
        ] {
            assert_eq!(bound(text), expected, "{text}");
        }
    }

    #[test]
    fn dynamic_bindings_may_bind_any_name() {
        for text in [
            "from a import *\n",
            "def __getattr__(name): return 1\n",
            "try:\n    from .a import *\nexcept ImportError:\n    pass\n",
            "vars()[name] = f\n",
            "globals()['handler'] = f\n",
            "exec('handler = 1')\n",
            "def handler(:\n",
            "setattr(module, 'handler', f)\n",
        ] {
            assert!(bound(text).contains(&"*".to_owned()), "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = "(".repeat(100_000) + &")".repeat(100_000);
        names(deep.as_bytes());
        let deep: String = (0..3000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect::<String>()
            + &" ".repeat(3000)
            + "a = 1\n";
        names(deep.as_bytes());
        // Each of these is bound and contains the next.
        let (open, close) = ("(a as ".repeat(50_000), ")".repeat(50_000));
        assert_eq!(bound(&format!("with {open}b{close}:\n    c = 1\n")), ["a", "b", "c"]);
        let (open, close) = ("[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(bound(&format!("match a:\n    case {open}b{close}:\n        c = 1\n")), ["b", "c"]);
    }
}
