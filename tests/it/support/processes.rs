//! The running processes of a user of `lbuild`, found by the user's directory in their environment or arguments.

use super::lbuild::Lbuild;
use std::time::{Duration, Instant};

/// The command lines of the user's running processes: lbuild, and the programs that it starts.
pub fn running(lbuild: &Lbuild) -> Vec<String> {
    let dir = lbuild.text("");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        // the process may end at any time, or be another user's; these files of a zombie are empty
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        if line.contains(&dir) || String::from_utf8_lossy(&read("environ")).contains(&dir) {
            found.push(line);
        }
    }
    found
}

/// Waits until no process of the user is left.
#[track_caller]
pub fn wait_for_end(lbuild: &Lbuild) {
    let (begun, mut ended) = (Instant::now(), 0);
    // A process that is just becoming another program has no arguments for a moment.
    while ended < 3 {
        let left = running(lbuild);
        ended = if left.is_empty() { ended + 1 } else { 0 };
        assert!(begun.elapsed() < Duration::from_secs(20), "still running: {left:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
