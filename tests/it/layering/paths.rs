//! The paths in a file, each with the module that contains it.

use super::tokens::{Token, tokens};

/// The paths and the module declarations of one file.
#[derive(Default)]
pub struct File {
    pub paths: Vec<NamedPath>,
    /// Inline modules of the file.
    pub inline: Vec<Vec<String>>,
    /// Modules that are compiled for tests only.
    pub for_tests: Vec<Vec<String>>,
}

/// A path of the source, after its groups are expanded.
#[derive(Debug, PartialEq)]
pub struct NamedPath {
    pub module: Vec<String>,
    pub segments: Vec<String>,
}

impl File {
    /// Reads the file of `module`.
    pub fn read(module: &[String], text: &str) -> File {
        let mut file = File::default();
        file.walk(module, &tokens(text));
        file
    }

    fn walk(&mut self, module: &[String], tokens: &[Token]) {
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += if is_for_tests(rest) {
                self.item_for_tests(module, rest)
            } else if let [Token::Word(keyword), Token::Word(name), Token::Mark('{'), ..] = rest
                && keyword == "mod"
            {
                let inner = child(module, name);
                let end = 2 + block(&rest[2..]);
                self.inline.push(inner.clone());
                self.walk(&inner, &rest[3..end - 1]);
                end
            } else if rest[0] == Token::Word("use".into()) {
                let end = rest.iter().position(|token| *token == Token::Mark(';')).unwrap_or(rest.len());
                self.use_tree(module, &[], &rest[1..end]);
                end
            } else if visibility(rest) > 0 {
                visibility(rest)
            } else if at > 0 && tokens[at - 1] == Token::Colons {
                // The rest of a path that does not begin with a name.
                1
            } else {
                self.inline_path(module, rest)
            };
        }
    }

    /// Adds a path such as `a::b::c` in the code; returns the number of its tokens.
    fn inline_path(&mut self, module: &[String], rest: &[Token]) -> usize {
        let mut segments = Vec::new();
        let mut at = 0;
        while let Some(Token::Word(name)) = rest.get(at) {
            segments.push(name.clone());
            at += 1;
            match (rest.get(at), rest.get(at + 1)) {
                (Some(Token::Colons), Some(Token::Word(_))) => at += 1,
                _ => break,
            }
        }
        if segments.len() > 1 {
            self.paths.push(NamedPath { module: module.to_vec(), segments });
        }
        at.max(1)
    }

    /// The paths of a `use`: `a::{b, c::{self, d as e}, f::*}` is four paths.
    fn use_tree(&mut self, module: &[String], before: &[String], tokens: &[Token]) {
        // A comma at the end leaves an empty tree.
        for tree in split(tokens).into_iter().filter(|tree| !tree.is_empty()) {
            let mut segments = before.to_vec();
            let mut group = None;
            for (at, token) in tree.iter().enumerate() {
                match token {
                    Token::Word(word) if word == "as" => break,
                    Token::Word(word) if word == "self" && !segments.is_empty() => {}
                    Token::Word(word) => segments.push(word.clone()),
                    Token::Mark('{') => {
                        group = Some(&tree[at + 1..at + block(&tree[at..]) - 1]);
                        break;
                    }
                    // The glob of a module is an import of that module.
                    Token::Colons | Token::Mark(_) => {}
                }
            }
            match group {
                Some(group) => self.use_tree(module, &segments, group),
                None => self.paths.push(NamedPath { module: module.to_vec(), segments }),
            }
        }
    }

    /// Skips an item that is compiled for tests only; a file that it declares is for tests too.
    fn item_for_tests(&mut self, module: &[String], rest: &[Token]) -> usize {
        let mut at = 0;
        while rest.get(at) == Some(&Token::Mark('#')) {
            at += 1 + block(&rest[at + 1..]);
        }
        let item = &rest[at..];
        let end = item_end(item);
        let name = item.windows(3).take(end).find_map(|window| match window {
            [Token::Word(keyword), Token::Word(name), Token::Mark(';')] if keyword == "mod" => Some(name),
            _ => None,
        });
        self.for_tests.extend(name.map(|name| child(module, name)));
        at + end
    }
}

pub fn child(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn is_for_tests(rest: &[Token]) -> bool {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    rest.len() > attribute.len()
        && attribute.iter().zip(rest).all(|(text, token)| match token {
            Token::Word(word) => word == text,
            Token::Mark(mark) => mark.to_string() == *text,
            Token::Colons => false,
        })
}

/// The number of tokens of an item: up to its `;`, or to the end of its block.
fn item_end(item: &[Token]) -> usize {
    let mut at = visibility(item);
    let word = |at: usize, words: &[&str]| matches!(item.get(at), Some(Token::Word(word)) if words.contains(&&**word));
    // Braces in other items do not end the item.
    let has_block = !word(at, &["use", "static", "type"]) && (!word(at, &["const"]) || word(at + 1, &["fn"]));
    while at < item.len() {
        match item[at] {
            Token::Mark(';') => return at + 1,
            Token::Mark('{') if has_block => return at + block(&item[at..]),
            Token::Mark('(' | '[' | '{') => at += block(&item[at..]),
            _ => at += 1,
        }
    }
    at
}

/// The number of tokens of `pub` or `pub(in a::b)` at the start of an item. Its path is not an import.
fn visibility(item: &[Token]) -> usize {
    match item {
        [Token::Word(word), Token::Mark('('), ..] if word == "pub" => 1 + block(&item[1..]),
        [Token::Word(word), ..] if word == "pub" => 1,
        _ => 0,
    }
}

/// The number of tokens of a block, from its opening bracket to its closing one.
fn block(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The parts between commas, outside of brackets.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        match tokens[at] {
            Token::Mark(',') => {
                parts.push(&tokens[start..at]);
                (start, at) = (at + 1, at + 1);
            }
            Token::Mark('{') => at += block(&tokens[at..]),
            _ => at += 1,
        }
    }
    parts.push(&tokens[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::File;

    fn paths(text: &str) -> Vec<String> {
        let file = File::read(&["m".to_owned()], text);
        file.paths
            .into_iter()
            .map(|path| format!("{}: {}", path.module.join("."), path.segments.join(".")))
            .collect()
    }

    #[test]
    fn groups_are_expanded() {
        for (text, found) in [
            ("use a;", &["a"][..]),
            ("pub(in a::b) use c::d;", &["c.d"]),
            ("pub(super) use a::b as c;", &["a.b"]),
            ("use a::{b, c::{self, D as E}, f::*, G,};", &["a.b", "a.c", "a.c.D", "a.f", "a.G"]),
            ("use {a::B, c};", &["a.B", "c"]),
            ("use super::*;", &["super"]),
            ("use super::super::{x};", &["super.super.x"]),
            ("use self::a::B;", &["self.a.B"]),
        ] {
            let found: Vec<_> = found.iter().map(|path| format!("m: {path}")).collect();
            assert_eq!(paths(text), found, "{text}");
        }
    }

    #[test]
    fn paths_in_the_code_are_found() {
        let text = "fn f(x: &dyn a::B<c::D>) -> e::F { g::h::<i::J>(k)?.l(); m!(n::o(p), \"q::r\"); <T as s::U>::v() }";
        let found = ["a.B", "c.D", "e.F", "g.h", "i.J", "n.o", "s.U"].map(|path| format!("m: {path}"));
        assert_eq!(paths(text), found);
    }

    #[test]
    fn a_path_in_an_inline_module_has_that_module() {
        let text = "use a::B; mod x { use super::c; mod y { use super::d; } } fn f() { e::g() }";
        assert_eq!(paths(text), ["m: a.B", "m.x: super.c", "m.x.y: super.d", "m: e.g"]);
    }

    #[test]
    fn items_for_tests_are_left_out() {
        for item in [
            "use x::Y;",
            "use x::{Y, z};",
            "pub fn f(x: [u8; 2]) -> x::Y { x::y() }",
            "mod tests { use x::Y; }",
            "mod tests;",
            "pub(super) const fn f() -> x::Y { x::y() }",
            "const X: x::Y = x::Y { z: 1 };",
            "#[derive(x::Y)] struct Z { y: x::Y }",
            "struct Z(x::Y);",
        ] {
            assert_eq!(
                paths(&format!("use a::B; #[cfg(test)] {item} fn f() {{ c::d() }}")),
                ["m: a.B", "m: c.d"]
            );
        }
        let file = File::read(&["m".to_owned()], "#[cfg(test)]\nmod sample;\nmod other;");
        assert_eq!(file.for_tests, [["m".to_owned(), "sample".to_owned()]]);
    }
}
