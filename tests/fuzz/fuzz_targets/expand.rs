//! The expansion of a word of a Dockerfile: lines with NAME=VALUE, and then the word.

#![no_main]

use std::collections::HashMap;

use lbuild::fuzzing::expand;
use libfuzzer_sys::fuzz_target;

/// The longest result, and the longest value or replacement that is added before its length is checked.
const LONGEST: usize = (1 << 20) + (1 << 16);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut variables, mut word) = (HashMap::new(), text);
    while let Some((line, rest)) = word.split_once('\n') {
        let Some((name, value)) = line.split_once('=') else { break };
        variables.insert(name, value);
        word = rest;
    }
    let Ok((text, words)) = expand(word, &variables) else { return };
    assert!(text.len() <= LONGEST, "{} bytes", text.len());
    assert!(words.iter().map(String::len).sum::<usize>() <= text.len());
    assert!(words.iter().all(|word| !word.is_empty()));
    if !word.contains(['$', '\\', '\'', '"', '<']) {
        assert_eq!(text, word);
        assert_eq!(words, word.split_whitespace().collect::<Vec<_>>());
    }
});
