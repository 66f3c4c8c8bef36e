//! Words, quotes, variables, comments, redirections.

use super::{commands, json, refusal, translated};
use crate::recipe::{Operation, Pathname, Piece};

/// What `echo` writes for these words.
fn echoed(words: &str) -> String {
    let text = format!("echo {words} > f");
    match &commands(&text)[0].operation {
        Operation::Write { content, .. } => match &**content {
            [Piece::Text(text)] => text.strip_suffix('\n').unwrap_or(text).to_owned(),
            other => panic!("{text}: {other:?}"),
        },
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn words_are_expanded_as_in_a_shell() {
    for (words, expected) in [
        ("a b", "a b"),
        ("a   'b  c'", "a b  c"),
        (r#""a  b" c"#, "a  b c"),
        (r"a\ b", "a b"),
        ("a'b'\"c\"d", "abcd"),
        ("''", ""),
        ("'' ''", " "),
        ("", ""),
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$A-$A", "one-one"),
        ("\"$A\"", "one"),
        ("'$A'", "$A"),
        (r"\$A", "$A"),
        (r#""\$A""#, "$A"),
        ("$B", "two words"),
        ("x$B.y", "x two words .y"),
        ("\"$B\"", " two  words "),
        ("$NONE a", "a"),
        ("x$NONE", "x"),
        ("\"$NONE\" a", " a"),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}x", "x"),
        ("${A:-d}", "one"),
        ("${A:+d}", "d"),
        ("${NONE:+d}x", "x"),
        ("${EMPTY+d}", "d"),
        ("${NONE:-$A/x}", "one/x"),
        ("${NONE:-${EMPTY:-$A}}", "one"),
        ("\"${NONE:-a b}\"", "a b"),
        ("\"$GLOB\"", "*.py"),
        ("'*'", "*"),
        (r"\*", "*"),
        ("a#b", "a#b"),
        ("a \\\n b", "a b"),
        ("a\\\nb", "ab"),
        ("\"a\\\nb\"", "ab"),
        ("'a\nb'", "a\nb"),
        ("$QUOTE", "it's"),
        ("5$", "5$"),
        ("\"5$\"", "5$"),
        ("a$/b", "a$/b"),
        ("é ü", "é ü"),
        ("{} a", "{} a"),
        ("'~' a~ a~b", "~ a~ a~b"),
        ("!", "!"),
        ("a=b", "a=b"),
        ("-n a", "a"),
        ("a -n -e", "a -n -e"),
        ("if then", "if then"),
    ] {
        assert_eq!(echoed(words), expected, "{words}");
    }
}

#[test]
fn a_pattern_keeps_its_quotes() {
    for (word, pattern) in [
        ("*", "*"),
        ("a*", "a*"),
        ("'*'*", r"\**"),
        ("\"a?\"b?", r"a\?b?"),
        ("$GLOB", "*.py"),
        ("d/$GLOB", "d/*.py"),
        ("[0-9]x", "[0-9]x"),
        ("[!ab].txt", "[!ab].txt"),
        (".[!.]*", ".[!.]*"),
        ("d/.h*", "d/.h*"),
        ("'a b'*", "a b*"),
        ("a'-'*", r"a\-*"),
        ("'!'*", r"\!*"),
        // found by fuzzing: their texts were read back as others
        ("a^*", "a^*"),
        ("'^'a*", r"\^a*"),
    ] {
        let [Operation::Remove { paths, .. }] = &*super::operations(&format!("rm {word}")) else {
            panic!("{word}")
        };
        assert_eq!(paths, &[Pathname::Pattern(pattern.into())], "{word}");
    }
    for word in [
        "**",
        ".*",
        ".?",
        "..*",
        "[a-z]",
        "[[:alpha:]]",
        "[^a]",
        "[a",
        "*/",
        "-*",
        "a**b",
        "/*",
        "[]",
        "[a/b]",
        "[0'-'9]",
        "[0\\-9]",
        "['!'a]*",
        "[\\!a]*",
        "['^'a]*",
    ] {
        refusal(&format!("rm {word}"));
    }
}

#[test]
fn comments_and_empty_lines_are_skipped() {
    for (text, count) in [
        ("# nothing", 0),
        ("", 0),
        ("\n\n  \n", 0),
        ("mkdir a # && rm b", 1),
        ("mkdir a #\nmkdir b", 2),
        ("# first\nmkdir a;# second\n\nmkdir b\n", 2),
        ("mkdir a && # x\n\n mkdir b", 2),
        ("mkdir a;", 1),
        ("mkdir a ; mkdir b ;\n", 2),
    ] {
        assert_eq!(commands(text).len(), count, "{text}");
    }
}

#[test]
fn redirections_drop_the_output_or_write_it() {
    let write = |append: bool, text: &str| {
        let mut write = serde_json::json!({ "path": { "path": "f" }, "content": [{ "text": text }] });
        if append {
            write["append"] = true.into();
        }
        serde_json::json!([{ "write": write }])
    };
    for (text, expected) in [
        ("echo a > f", write(false, "a\n")),
        ("echo a>f", write(false, "a\n")),
        ("> f echo a", write(false, "a\n")),
        ("echo a >> f", write(true, "a\n")),
        ("echo a 1> f", write(false, "a\n")),
        ("echo 2 > f", write(false, "2\n")),
        ("echo a > f 2>&1", write(false, "a\n")),
        ("echo a 2>/dev/null > f", write(false, "a\n")),
        ("echo > f", write(false, "\n")),
        ("echo a > /dev/null", serde_json::json!(["nothing"])),
        ("echo a", serde_json::json!(["nothing"])),
        ("echo -e 'a\\n' *", serde_json::json!(["nothing"])),
        ("mkdir a > /dev/null 2>&1", json("mkdir a")),
        ("mkdir a 2> /dev/null", json("mkdir a")),
        ("mkdir a >/dev/null 2>/dev/null", json("mkdir a")),
        ("mkdir a >&2", json("mkdir a")),
        ("printf '%s=%d\\n' a 1 b 22 > f", write(false, "a=1\nb=22\n")),
        ("printf 'a\\tb\\101\\\\%%' > f", write(false, "a\tbA\\%")),
        ("printf '%s' > f", write(false, "")),
        ("printf '%s|' a b > f", write(false, "a|b|")),
        ("printf a b > f", write(false, "a")),
        ("printf -- 'a' > f", write(false, "a")),
        ("printf x", serde_json::json!(["nothing"])),
    ] {
        assert_eq!(json(text), expected, "{text}");
    }
    let empty = serde_json::json!([{ "write": { "path": { "path": "f" }, "content": [] } }]);
    assert_eq!(json(": > f"), empty);
    assert_eq!(json("> f"), empty);
    let joined = serde_json::json!([{ "write": {
        "path": { "path": "/x/f" }, "content": [{ "file": { "path": "a" } }, { "file": { "path": "b" } }],
    } }]);
    assert_eq!(json("cat a b > /x/f"), joined);
    assert!(translated("cat a").chains[0][0].text == "cat a");
}
