//! A line of a requirements file that is written.

use std::collections::BTreeSet;

/// A line of the file.
pub(super) struct Requirement {
    /// The package and its version, or the place of its files.
    pub(super) text: String,
    /// When it is needed; empty: always.
    pub(super) marker: String,
    pub(super) hashes: BTreeSet<String>,
    /// The packages that need it.
    pub(super) users: Vec<String>,
}

/// A requirement, with one hash on each further line.
pub(super) fn line(requirement: &Requirement, before_marker: &str, with_hashes: bool) -> String {
    let Requirement { text, marker, hashes, .. } = requirement;
    let marker = if marker.is_empty() { String::new() } else { format!("{before_marker}{marker}") };
    let hashes = hashes.iter().filter(|_| with_hashes).map(|hash| format!(" \\\n    --hash={hash}"));
    format!("{text}{marker}{}\n", hashes.collect::<String>())
}
