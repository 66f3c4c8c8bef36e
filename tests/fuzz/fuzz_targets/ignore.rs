//! An ignore file, and after a NUL some paths. A walk skips a directory only if everything below it stays out.

#![no_main]

use lbuild::fuzzing::Rules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().rposition(|&byte| byte == 0).unwrap_or(data.len());
    let (text, paths) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(rules) = Rules::parse(text) else { return };
    let is_path =
        |path: &&[u8]| !path.split(|&byte| byte == b'/').any(|name| matches!(name, b"" | b"." | b".."));
    for path in paths.split(|&byte| byte == b'\n').filter(is_path).take(64) {
        let is_ignored = rules.is_ignored(path);
        let parents = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in parents.take(64) {
            assert!(!rules.is_pruned(&path[..end]) || is_ignored, "{}", path.escape_ascii());
        }
    }
});
