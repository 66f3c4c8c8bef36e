//! Paths that commands name.

use serde::{Deserialize, Serialize};

/// A path of a command: absolute, or relative to the command's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pathname {
    /// Exactly this path.
    Path(String),
    /// A pattern of the shell, expanded in the image: `*`, `?`, and brackets with characters, ranges of digits and
    /// perhaps a `!` in front. A backslash quotes the next character. A pattern without a match is the path that it
    /// spells.
    Pattern(String),
}
