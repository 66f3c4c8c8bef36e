//! Lines that are put together from pieces: none panics, and each that is translated is read back. `tests/fuzz` has more.

use super::{check_texts, line};

const PIECES: [&str; 72] = [
    " && ",
    "; ",
    "\n",
    " # x\n",
    "'",
    "\"",
    "\\",
    "$A",
    "${A}",
    "${NONE:-x",
    "${A:+",
    "}",
    " > f",
    " >> f",
    " 2>&1",
    " >/dev/null",
    "*",
    "?",
    "[!a]",
    "[0-9]",
    "{}",
    "cd d",
    "cd ..",
    "set -e",
    "export X=",
    "X=",
    "$X",
    "mkdir -p ",
    "rm -rf ",
    "cp -a ",
    "cp ",
    "mv ",
    "ln -sf ",
    "chmod 755 ",
    "chmod -x ",
    "chown a:b ",
    "touch ",
    "echo ",
    "printf ",
    "%s",
    "cat ",
    "find . ",
    " -exec chmod 644 {} + ",
    " -name ",
    " \\( ",
    " -o ",
    " \\) ",
    " -delete",
    "useradd ",
    "adduser ",
    "addgroup ",
    "install -d ",
    "ls ",
    ": ",
    "true",
    "..",
    "/",
    "/opt",
    " a",
    " b",
    " c ",
    "--",
    "-m",
    " -t d ",
    "~",
    "é",
    "\t",
    " ",
    "$B",
    "\"$B\"",
    "$GLOB",
    "!",
];

/// A pseudo-random number generator, so that every run has the same lines.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap_or_default()
}

#[test]
fn lines_of_pieces_are_read_back() {
    let mut state = 1;
    let mut translations = 0;
    for _ in 0..60_000 {
        let count = 1 + next(&mut state) % 8;
        let text: String = (0..count).map(|_| PIECES[next(&mut state) % PIECES.len()]).collect();
        match line(&text) {
            Ok(translation) => {
                check_texts(&text, &translation);
                translations += 1;
            }
            Err((at, refusal)) => assert!(text[at..].starts_with(&refusal.word), "{text}: {at} {refusal:?}"),
        }
    }
    assert!(translations > 1000, "{translations}");
}
