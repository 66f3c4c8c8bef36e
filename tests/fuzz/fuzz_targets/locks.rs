//! A lock file or requirements. The first letter of the input names the format.

#![no_main]

use lbuild::fuzzing::{node_lock, python_lock};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((format, data)) = data.split_first() else { return };
    let python = match format {
        b'u' => "uv.lock",
        b'l' => "pylock.toml",
        b'o' => "poetry.lock",
        b'f' => "Pipfile.lock",
        b'r' => "requirements.txt",
        b'n' => return npm(data),
        b'p' => return drop(node_lock("pnpm-lock.yaml", data)),
        _ => return,
    };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(lines) = python_lock(python, text) else { return };
    // Requirements are the user's own; the pins of a lock must not become options of uv or pip.
    for line in lines.iter().filter(|_| *format != b'r') {
        let is_one_line =
            !line.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' ') || c == '\\');
        let has_option = line.trim_start().starts_with('-') || line.contains(" -");
        assert!(is_one_line && !has_option && !line.contains("${"), "{line:?}");
    }
});

/// What is left of a lock is a lock with the same meaning.
fn npm(data: &[u8]) {
    let Ok(decisive) = node_lock("package-lock.json", data) else { return };
    let again = node_lock("package-lock.json", &decisive).expect("lbuild reads what it wrote");
    assert!(again == decisive, "{}", String::from_utf8_lossy(&decisive));
}
