//! SAM and CloudFormation templates.

mod goldens;
mod packaging;
mod refusals;
pub mod with_sam;

use crate::support::lbuild::{Lbuild, tiny_base};
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a file of a project, and returns its path.
fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// A function that `Metadata: {lbuild: …}` describes, with code of its own.
fn keyed(dir: &Path, id: &str, more: &str) -> String {
    write(dir, &format!("{id}/app.py"), &format!("def handler(event, context):\n    return '{id}'\n"));
    format!(
        "  {id}:\n    Type: AWS::Serverless::Function\n    Properties:\n      PackageType: Image\n      Architectures: [arm64]\n    \
         Metadata:\n      lbuild:\n        path: {id}\n        base: {}\n        handler: app.handler\n{more}",
        tiny_base()
    )
}

/// The lines of `text` that `old` does not have.
fn new_lines<'t>(text: &'t str, old: &str) -> Vec<&'t str> {
    text.lines().filter(|line| !old.lines().any(|old| old == *line)).collect()
}

fn user() -> Lbuild {
    let mut user = Lbuild::new();
    user.set("AWS_EC2_METADATA_DISABLED", "true");
    user
}
