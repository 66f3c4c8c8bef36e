//! The text of a RUN: lines with NAME=VALUE, an empty line, and then the command. A command that is translated has the
//! same operations when the texts of the translation are read again.

#![no_main]

use std::collections::HashMap;

use lbuild::fuzzing::translate;
use libfuzzer_sys::fuzz_target;

/// The most bytes that variables may add to a line.
const ADDED: usize = 128 << 10;

fuzz_target!(|data: &[u8]| {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let (mut variables, mut text) = (HashMap::new(), input);
    if let Some((lines, rest)) = input.split_once("\n\n") {
        variables.extend(lines.lines().filter_map(|line| line.split_once('=')));
        text = rest;
    }
    let translation = match translate(text, "/work", &variables) {
        Ok(translation) => translation,
        Err((at, refusal)) => {
            assert!(text[at..].starts_with(&refusal.word), "{at}: {refusal:?}");
            return;
        }
    };
    let none = HashMap::new();
    let mut length = 0;
    for chain in &translation.chains {
        let mut rest = &chain[..];
        while let [first, ..] = rest {
            let again = translate(&first.text, &first.directory, &none);
            let again = again.unwrap_or_else(|error| panic!("{}: {error:?}", first.text));
            let again = again.chains.concat();
            assert!(!again.is_empty() && rest.starts_with(&again), "{}: {again:?}", first.text);
            length += first.text.len();
            rest = &rest[again.len()..];
        }
    }
    // A quote takes four bytes when it is quoted.
    assert!(length <= 4 * (text.len() + ADDED) + 64, "{length}");
});
