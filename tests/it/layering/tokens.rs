//! Rust source as tokens, without comments and literals: enough to find paths in it.

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// `::`.
    Colons,
    /// Any other character; `"` stands for a whole string or character literal.
    Mark(char),
}

pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        at += match (rest[0], rest.get(1)) {
            (c, _) if c.is_whitespace() => 1,
            ('/', Some('/')) => rest.iter().take_while(|c| **c != '\n').count(),
            ('/', Some('*')) => block_comment(rest),
            ('"', _) => push(&mut found, Token::Mark('"'), string(rest)),
            ('\'', _) => quote(rest, &mut found),
            (':', Some(':')) => push(&mut found, Token::Colons, 2),
            (c, _) if is_word(c) => word(rest, &mut found),
            (c, _) => push(&mut found, Token::Mark(c), 1),
        };
    }
    found
}

fn push(found: &mut Vec<Token>, token: Token, length: usize) -> usize {
    found.push(token);
    length
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A word, or a literal with a prefix: `r"…"`, `b'…'`, `br#"…"#`.
fn word(rest: &[char], found: &mut Vec<Token>) -> usize {
    let length = rest.iter().take_while(|c| is_word(**c)).count();
    let text: String = rest[..length].iter().collect();
    let after = &rest[length..];
    let hashes = after.iter().take_while(|c| **c == '#').count();
    let raw = ["r", "br", "cr"].contains(&text.as_str());
    match after.get(if raw { hashes } else { 0 }) {
        Some('"') if raw => push(found, Token::Mark('"'), length + raw_string(after, hashes)),
        Some('"') if ["b", "c"].contains(&text.as_str()) => {
            push(found, Token::Mark('"'), length + string(after))
        }
        Some('\'') if text == "b" => length + quote(after, found),
        // `r#type` is the name `type`.
        Some(c) if text == "r" && hashes == 1 && is_word(*c) => length + 1 + word(&after[1..], found),
        _ => push(found, Token::Word(text), length),
    }
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string(rest: &[char], hashes: usize) -> usize {
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let open = hashes + 1;
    let body = rest[open..].windows(end.len()).position(|window| window == end);
    open + body.unwrap_or(rest.len()) + end.len()
}

/// A character literal, or a lifetime, which is skipped.
fn quote(rest: &[char], found: &mut Vec<Token>) -> usize {
    let literal = rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'');
    if !literal {
        return 1 + rest[1..].iter().take_while(|c| is_word(**c)).count();
    }
    let escaped = if rest[1] == '\\' { 3 } else { 2 };
    let length = escaped + rest[escaped..].iter().take_while(|c| **c != '\'').count() + 1;
    push(found, Token::Mark('"'), length)
}

fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < rest.len() && depth > 0 {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

#[test]
fn comments_and_literals_neither_hide_nor_add_paths() {
    let words = |text: &str| {
        let words = tokens(text).into_iter().filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        });
        words.collect::<Vec<_>>()
    };
    for text in [
        "// a\nb",
        "/* a /* a */ a */ b",
        r#""a \" a" b"#,
        r##"r#"a " a"# b"##,
        r##"br#"a"# b"##,
        r#"b"a" b"#,
        "'a' b",
        r"'\'' b",
        r"'\u{61}' b",
        "b'a' b",
        "'a b",
        "'_ b",
        "'\"' b",
        "r#b",
    ] {
        assert_eq!(words(text), ["b"], "{text}");
    }
    assert_eq!(words("fn f<'a>(x: &'a str, c: char) { x.y('x', 'a') }")[0..3], ["fn", "f", "x"]);
    let colons = [Token::Word("a".into()), Token::Colons, Token::Word("b".into())];
    assert_eq!(tokens("a :: b"), colons);
}
