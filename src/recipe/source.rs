//! Where the files of an [`Add`](super::Add) come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where files come from. Each source becomes sorted file trees, and each tree a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A directory's content, or one file.
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Whether `.lambdaignore` (else `.dockerignore`) in the directory says what stays out. `.git`,
        /// `.lbuild`, `lbuild.toml` and ignore files stay out in any case.
        #[serde(default)]
        ignore: bool,
    },
}
