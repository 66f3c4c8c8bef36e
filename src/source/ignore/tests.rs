use std::fs;
use std::path::Path;

use super::Ignore;

fn ignore(lines: &[&str]) -> Ignore {
    Ignore::parse(lines.join("\n").as_bytes(), Path::new(".lambdaignore")).unwrap()
}

#[track_caller]
fn check(lines: &[&str], out: &[&str], kept: &[&str]) {
    let ignore = ignore(lines);
    for path in out {
        assert!(ignore.is_ignored(path.as_bytes()), "{lines:?} should keep {path:?} out");
    }
    for path in kept {
        assert!(!ignore.is_ignored(path.as_bytes()), "{lines:?} should let {path:?} in");
    }
}

#[test]
fn patterns_start_at_the_root_and_apply_to_everything_below() {
    check(&["a"], &["a", "a/b", "a/b/c"], &["b/a", "ab", "A", ""]);
    check(&["a/b"], &["a/b", "a/b/c"], &["a", "b", "a/bc", "x/a/b"]);
    for same in ["/a/b", "a/b/", "//a//b", "./a/./b", "a/x/../b", "  a/b\t", "/../a/b", "../../a/b"] {
        let anchored = !same.starts_with("..");
        assert_eq!(ignore(&[same]).is_ignored(b"a/b"), anchored, "{same}");
    }
    check(&["/", ".", "./"], &[], &["a", "a/b"]);
}

#[test]
fn wildcards_stop_at_slashes() {
    check(&["*"], &["a", "a/b", ".a"], &[]);
    check(&["*.py"], &["a.py", ".py", "a.py/b"], &["d/a.py", "a.pyc", "apy"]);
    check(&["d/*"], &["d/a", "d/a/b"], &["d", "a"]);
    check(&["d/*/c"], &["d/x/c", "d/x/c/e"], &["d/c", "d/x/y/c", "d/x"]);
    check(&["a?c"], &["abc", "a\u{e9}c", "a\nc"], &["ac", "abbc", "a/c"]);
    check(&["*a*b*"], &["ab", "xaybz"], &["ba", "a/b"]);
}

#[test]
fn two_stars_match_any_number_of_directories() {
    check(&["**"], &["a", "a/b"], &[]);
    check(&["**/"], &["a", "a/b"], &[]);
    check(&["**/**"], &["a", "a/b"], &[]);
    check(&["**/a"], &["a", "x/a", "x/y/a", "x/a/b"], &["xa", "ab"]);
    check(&["**/a/b"], &["a/b", "x/a/b", "x/y/a/b/c"], &["b", "xa/b", "a/x/b"]);
    check(&["a/**"], &["a/b", "a/b/c"], &["a", "ab/c"]);
    check(&["a/**/b"], &["a/b", "a/x/b", "a/x/y/b"], &["a", "a/x", "axb", "b"]);
    check(&["**/*.py"], &["a.py", "x/y/a.py"], &["a.pyc"]);
    check(&["a/**/**/*.py"], &["a/b.py", "a/x/y/b.py"], &["b.py"]);
    check(&["a/*.txt**"], &["a/b.txt", "a/b.txt.d/c"], &["a/x/b.txt", "b.txt"]);
    check(&["***"], &["a", "a/b"], &[]);
}

/// Docker does not document its semantics of `**` next to other characters.
#[test]
fn two_stars_beside_characters_match_as_in_docker() {
    check(&["**.py"], &["a.py", "x/a.py"], &["a.pyc"]);
    check(&["**.py[co]"], &[".pyc", "x/.pyo"], &["a.pyc"]);
    check(&["a**"], &["a", "ab", "a/b", "ab/c"], &["b", "ba"]);
    check(&["a**b"], &["ab", "ax/b"], &["axb", "b"]);
    check(&["**\\a", "**b]"], &["a", "x/a", "b]", "x/b]"], &["xa", "xb]"]);
}

#[test]
fn classes_have_ranges_and_negation() {
    check(&["a[bd-f]g"], &["abg", "adg", "aeg", "afg"], &["acg", "ag", "abdg", "a/g"]);
    check(&["a[^bd-f]g"], &["acg", "azg", "a/g", "a\u{e9}g"], &["abg", "aeg", "ag"]);
    check(&["[\\]\\-\\\\]"], &["]", "-", "\\"], &["a", "["]);
    check(&["[*?.]"], &["*", "?", "."], &["a"]);
    check(&["[\u{3b1}-\u{3c9}]"], &["\u{3b2}"], &["b"]);
    check(&["[!a]"], &["!", "a"], &["b"]);
}

#[test]
fn quoted_characters_and_regex_characters_are_literal() {
    check(&["\\*", "a\\?"], &["*", "a?"], &["a", "ab"]);
    check(&["\\#a", "\\!b"], &["#a", "!b"], &["a", "b"]);
    check(
        &["\\d*", "a*|b", "(c)*", "q.e*", "f{2}*", "g+*", "^h*$"],
        &["d", "a|b", "(c)", "q.e", "f{2}"],
        &["5", "b", "qxe", "ff"],
    );
    check(&["a]", "*]"], &["a]", "x]"], &["a"]);
}

#[test]
fn the_last_pattern_that_matches_decides() {
    check(&["*.md", "!README.md"], &["a.md"], &["README.md"]);
    check(&["!README.md", "*.md"], &["README.md"], &[]);
    check(&["docs", "!docs/a", "docs/a/b"], &["docs/x", "docs/a/b", "docs/a/b/c"], &["docs/a", "docs/a/c"]);
    check(&["*", "!src", "!*.py"], &["a", "x/a.py"], &["src/a/b", "a.py"]);
    check(&["**", "!x/y"], &["x", "x/z"], &["x/y", "x/y/z"]);
    check(&["a**", "!ab**", "**c", "!**bc"], &["a", "ac", "xc"], &["abd", "abc", "xbc"]);
    // An exception for a directory overrides an earlier pattern for a path below it.
    check(&["a/b", "!a"], &[], &["a", "a/b"]);
    check(&["a", "! b ", "b", "!/a/"], &["b"], &["a"]);
}

#[test]
fn lines_are_read_as_docker_reads_them() {
    check(&["# a", "#a", "", "  ", "b"], &["b"], &["# a", "#a", "a", ""]);
    check(&[" #a"], &["#a"], &["a"]);
    check(&["\u{feff}a\r", "b \r", "\r", "c"], &["a", "b", "c"], &["a\r"]);
    check(&["\u{feff}# a"], &[], &["# a"]);
    // Docker trims and cleans each line twice.
    check(&["/ a", "b /", "\u{a0}c"], &["a", "b", "c"], &[" a", "b "]);
    check(&["*", "/!a"], &["b", "!a"], &["a"]);
}

#[test]
fn names_that_are_not_utf8_match() {
    let ignore = Ignore::parse(b"a\xff\nb*\xfe\nc?c\n**/\xfd", Path::new("i")).unwrap();
    for path in [&b"a\xff"[..], b"b\xff\xfe", b"c\xffc", b"x\xff/\xfd"] {
        assert!(ignore.is_ignored(path), "{path:?}");
    }
    for path in [&b"a\xfe"[..], b"c\xff\xffc", b"a"] {
        assert!(!ignore.is_ignored(path), "{path:?}");
    }
}

#[test]
fn the_error_for_a_malformed_pattern_names_its_line() {
    for bad in [
        "!", "! ", "!/", "a\\", "[", "a[", "[]", "[]a]", "[^]", "[a", "[a-", "[a-]", "[-a]", "[b-a]", "[a\\",
        "*[-x]",
    ] {
        let text = format!("# first\r\nfine\r\n{bad}\r\nfine");
        let error = Ignore::parse(text.as_bytes(), Path::new("d/.dockerignore")).unwrap_err();
        let expected = format!("d/.dockerignore:3: invalid pattern `{}`: ", bad.trim());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn git_and_lbuilds_own_files_are_always_ignored() {
    let always = [
        ".git",
        ".git/config",
        "a/.git",
        "a/.git/x",
        ".lbuild",
        ".lbuild/image/x",
        "lbuild.toml",
        ".lambdaignore",
        ".dockerignore",
    ];
    let never = [".gitignore", ".github/x", "a/lbuild.toml", "a/.dockerignore", "x.git"];
    check(&[], &always, &never);
    check(&["*", "!**", "!.git", "!lbuild.toml", "!.lambdaignore", "!**/.git/**"], &always, &never);
    assert!(ignore(&["!**"]).can_prune(ignore(&["!**"]).verdict(b"a/.git"), b"a/.git"));
}

#[test]
fn the_first_ignore_file_is_read() {
    let root = tempfile::tempdir().unwrap();
    assert!(!Ignore::load(root.path()).unwrap().is_ignored(b"a"));
    fs::write(root.path().join(".dockerignore"), "a").unwrap();
    assert!(Ignore::load(root.path()).unwrap().is_ignored(b"a"));
    fs::write(root.path().join(".lambdaignore"), "b").unwrap();
    let both = Ignore::load(root.path()).unwrap();
    assert!(both.is_ignored(b"b") && !both.is_ignored(b"a"));
    assert!(Ignore::load(&root.path().join(".lambdaignore")).is_ok(), "a single file has no ignore file");
}

#[test]
fn a_walk_skips_directories_that_hold_no_exception() {
    let prunes = |lines: &[&str], dir: &str| {
        let ignore = ignore(lines);
        ignore.can_prune(ignore.verdict(dir.as_bytes()), dir.as_bytes())
    };
    assert!(prunes(&["a"], "a") && !prunes(&["a"], "b"));
    assert!(prunes(&["*", "!src/*.py", "!*.md"], "node_modules") && !prunes(&["*", "!src/*.py"], "src"));
    assert!(prunes(&["*", "!src/*.py"], "src/deep"), "no exception reaches that deep");
    assert!(prunes(&["!a/b", "a"], "a"), "an exception before the pattern has no effect");
    assert!(!prunes(&["a", "!a/b"], "a") && prunes(&["a", "!a/b"], "a/c") && !prunes(&["a", "!a/b"], "a/b"));
    assert!(!prunes(&["a", "!**/b"], "a/x/y") && !prunes(&["a", "!a/x**"], "a"));
    assert!(prunes(&["a", "a/b", "!c"], "a"), "only an exception can bring back a path");
    assert!(!prunes(&["a", "!a[^b]c"], "a"), "a class may match a slash");
    // U+FFFD in a pattern with wildcards stands for any byte that is not UTF-8.
    let ignore = ignore(&["*", "!a\u{fffd}/?"]);
    assert!(!ignore.is_ignored(b"a\xff/b") && !ignore.can_prune(ignore.verdict(b"a\xff"), b"a\xff"));
    assert!(ignore.can_prune(ignore.verdict(b"b"), b"b"));
}

/// Random patterns and paths over a few letters, so that many paths match.
#[test]
fn a_walk_never_skips_a_path_that_an_exception_includes() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let atoms = ["a", "b", "/", "/", "*", "**", "**/", "?", "[ab]", "[^a]", "\\a", "\\/", "\u{fffd}"];
    let names: [&[u8]; 5] = [b"a", b"b", b"ab", b"a\xffb", b"ba"];
    let mut kept = 0;
    for _ in 0..1500 {
        let lines: Vec<String> = (0..1 + random(4))
            .map(|_| {
                let mark = if random(2) == 0 { "!" } else { "" };
                (0..1 + random(5)).fold(mark.to_owned(), |line, _| line + atoms[random(atoms.len())])
            })
            .collect();
        let text = ["*", &lines.join("\n")].join("\n");
        let Ok(ignore) = Ignore::parse(text.as_bytes(), Path::new("i")) else { continue };
        for _ in 0..20 {
            let path: Vec<_> = (0..1 + random(4)).map(|_| names[random(names.len())]).collect();
            let path = path.join(&b'/');
            if ignore.is_ignored(&path) {
                continue;
            }
            kept += 1;
            for end in (0..path.len()).filter(|&i| path[i] == b'/') {
                let dir = &path[..end];
                assert!(!ignore.can_prune(ignore.verdict(dir), dir), "{text:?} hides {path:?} in {dir:?}");
            }
        }
    }
    assert!(kept > 1000, "only {kept} paths tested the rule");
}

#[test]
fn a_file_of_windows_tools_is_read() {
    let text = "# names é\r\n.env\r\nsecret*\r\n!secret.pub\r\n";
    let utf_16 = |of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<_>>();
    let (little, big) = (utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes));
    for bytes in [
        [b"\xFF\xFE", &little[..]].concat(),
        [b"\xFE\xFF", &big[..]].concat(),
        little.clone(),
        big.clone(),
        [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
    ] {
        let ignore = Ignore::parse(&bytes, Path::new(".lambdaignore")).unwrap();
        for (path, out) in [(".env", true), ("secret.key", true), ("secret.pub", false), ("app.py", false)] {
            assert_eq!(ignore.is_ignored(path.as_bytes()), out, "{path} with {bytes:?}");
        }
    }
    for (bytes, fault) in [
        (&b"\xFF\xFE.\0e"[..], "ends within a character"),
        (b"\xFF\xFE\0\0.\0\0\0", "UTF-32"),
        (b"\xFF\xFE\0\xD8.\0", "not valid UTF-16"),
    ] {
        let error = Ignore::parse(bytes, Path::new("dir/.dockerignore")).unwrap_err().to_string();
        assert!(error.contains("dir/.dockerignore") && error.contains(fault), "{error}");
    }
    // Names need not be in UTF-8.
    assert!(Ignore::parse(b"caf\xE9", Path::new("x")).unwrap().is_ignored(b"caf\xE9"));
}
