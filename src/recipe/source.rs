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
    /// What a zip archive holds: a function's zip package, or a Lambda layer's. What is deflated there goes into
    /// the layer as it is, without being compressed anew.
    #[serde(rename_all = "kebab-case")]
    Zip {
        /// The archive.
        path: PathBuf,
    },
}
