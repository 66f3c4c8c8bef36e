//! Rules 28 to 37 of words and variables.

use super::super::shell::{Lexer, Variables};

struct Given;

impl Variables for Given {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            "A" => Some("one"),
            "EMPTY" => Some(""),
            "PATHS" => Some("/usr/local/lib/a.tar.gz"),
            "PORTS" => Some("80 81"),
            "STAR" => Some("a*b\\c/d}e"),
            "É" => Some("accent"),
            _ => None,
        }
    }
}

#[test]
fn words_are_expanded() {
    for (rule, word, expected) in [
        (32, "x$NONE.y", "x.y"),
        (32, "${NONE}", ""),
        (33, "${NONE:-d}", "d"),
        (33, "${EMPTY:-d}", "d"),
        (33, "${EMPTY-d}", ""),
        (33, "${A:-d}", "one"),
        (33, "${A:+y}", "y"),
        (33, "${EMPTY:+y}", ""),
        (33, "${EMPTY+y}", "y"),
        (33, "${NONE+y}", ""),
        (33, "${EMPTY?m}", ""),
        (33, "${NONE:-${EMPTY:-${A}}}", "one"),
        (33, "${NONE:-\"a b\"}", "a b"),
        (34, "${PATHS#*/}", "usr/local/lib/a.tar.gz"),
        (34, "${PATHS##*/}", "a.tar.gz"),
        (34, "${PATHS%.*}", "/usr/local/lib/a.tar"),
        (34, "${PATHS%%.*}", "/usr/local/lib/a"),
        (34, "${PATHS#?usr}", "/local/lib/a.tar.gz"),
        (34, "${PATHS#none}", "/usr/local/lib/a.tar.gz"),
        (34, "${PATHS%%/*}", ""),
        (34, "${PATHS/\\//-}", "-usr/local/lib/a.tar.gz"),
        (34, "${PATHS//\\//-}", "-usr-local-lib-a.tar.gz"),
        (34, "${PATHS/l*l/X}", "/usr/Xib/a.tar.gz"),
        (34, "${A//?/x}", "xxx"),
        (34, "${A/n/}", "oe"),
        (34, "${A/[no]/x}", "one"),
        (34, "${STAR#a\\*}", "b\\c/d}e"),
        (34, "${STAR%\\}*}", "a*b\\c/d"),
        (34, "${STAR#*\\\\}", "c/d}e"),
        (34, "${STAR/\\/d/}", "a*b\\c}e"),
        (34, "${NONE#x}", ""),
        (35, "a$1b$@c$*d$#e$?f$-g$$h$!i$0j", "abcdefghij"),
        (35, "$10x", "x"),
        (35, "$. $ x$", "$. $ x$"),
        (36, "\\$A", "$A"),
        (36, "\"\\$A\"", "$A"),
        (36, "'$A \\'", "$A \\"),
        (36, "\\t", "t"),
        (36, "\"\\t\\\"\\\\\"", "\\t\"\\"),
        (36, "a'b'\"c$A\"", "abcone"),
        (37, "v w", "v w"),
        (28, "$É", "accent"),
        (4, "end\\", "end"),
    ] {
        let found = Lexer::new('\\').expand(word, &Given).map(|expanded| expanded.text);
        assert_eq!(found.as_deref(), Ok(expected), "rule {rule}: {word}");
    }
}

#[test]
fn wrong_words_are_refused() {
    for (rule, word, message) in [
        (32, "${NONE:?no value}", "NONE: no value"),
        (32, "${NONE?}", "NONE: is not allowed to be unset"),
        (32, "${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        (33, "${A:=x}", "unsupported modifier `:=` in a substitution"),
        (33, "${A:1}", "unsupported modifier `:1` in a substitution"),
        (34, "${A:#x}", "unsupported modifier `:#` in a substitution"),
        (34, "${A#\\x}", r"invalid escape `\x` in the pattern `\x`"),
        (35, "${}", "bad substitution: `${` without a name"),
        (35, "${A", "`}` is missing after `${`"),
        (35, "${A:-b", "`}` is missing after `${`"),
        (35, "${A/b}", "`/` is missing after `${`"),
        (35, "${A.}", "unsupported modifier `.` in a substitution"),
        (36, "'\\''", "a single quote is not closed"),
        (36, "\"a", "a double quote is not closed"),
    ] {
        let found = Lexer::new('\\').expand(word, &Given).map(|expanded| expanded.text);
        assert_eq!(found, Err(message.to_owned()), "rule {rule}: {word}");
    }
}

#[test]
fn names_that_are_not_set_are_listed() {
    let unset = Lexer::new('\\').expand("$A$B${C:-$D}'$E'", &Given).unwrap().unset;
    assert_eq!(unset, ["B", "D"]);
}

#[test]
fn another_escape_character() {
    let found = Lexer::new('`').expand(r"C:\x`$A\$A", &Given).unwrap().text;
    assert_eq!(found, r"C:\x$A\one", "rule 8");
}

#[test]
fn values_are_split_and_quoted_text_is_not() {
    let found = Lexer::new('\\').expand("$PORTS \"$PORTS\" x'a b'y '' ", &Given).unwrap().words;
    assert_eq!(found, ["80", "81", "80 81", "xa by"], "rule 42");
}

#[test]
fn quotes_are_text_in_the_body_of_a_here_document() {
    let lexer = Lexer { quotes_are_text: true, ..Lexer::new('\\') };
    let found = lexer.expand("'$A' \"${NONE:-'x'}\" \\$A \\\\ \\\nend", &Given).unwrap().text;
    assert_eq!(found, "'one' \"'x'\" $A \\ \nend", "rule 23");
}

#[test]
fn deep_and_long_words_are_refused() {
    let deep = "${NONE:-".repeat(100_000) + &"}".repeat(100_000);
    assert!(Lexer::new('\\').expand(&deep, &Given).unwrap_err().contains("nested"));
    struct Long(String);
    impl Variables for Long {
        fn get(&self, _: &str) -> Option<&str> {
            Some(&self.0)
        }
    }
    let long = Long("x".repeat(1 << 16));
    let all = "$A".repeat(20);
    for word in [
        all.clone(),
        // Found by reading for the fuzz targets: none of these was limited before it was complete.
        format!("\"{all}\""),
        "${A#*}".repeat(20),
        format!("${{A//x/{}}}", "y".repeat(1 << 16)),
        format!("${{A//x/{}}}", "y".repeat(10)).repeat(20),
        format!("${{A%{}y*}}", "x".repeat(1000)),
    ] {
        let message = Lexer::new('\\').expand(&word, &long).unwrap_err();
        assert!(message.contains("longer than 1 MiB"), "{message}");
    }
    let pattern = format!("${{A#{}}}", "x".repeat(2000));
    assert!(Lexer::new('\\').expand(&pattern, &Given).unwrap_err().contains("longer than 1024"));
}
