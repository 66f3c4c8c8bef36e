//! The results of a build: the image's id, and BuildKit's metadata.

use std::fs;
use std::path::Path;

use lbuild::{LocalImages, Published};
use serde_json::json;

use crate::cli::docker::build::args::Build;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Removes the file of the id, so that a build that fails leaves none of an earlier one.
pub fn clear(args: &Build) {
    if let Some(path) = &args.iidfile {
        // A file that cannot be removed cannot be written either.
        let _ = fs::remove_file(path);
    }
}

/// Writes the files that the call asks for, records under which digests the image was pushed, and prints the id.
pub fn tell(args: &Build, images: &LocalImages, mut published: Vec<Published>) -> Result<(), Failure> {
    // A registry's image before that of the store, which is the same.
    published.sort_by_key(|published| published.image.starts_with("local:"));
    let Some(first) = published.first() else { return Ok(()) };
    let id = first.config.to_string();
    if let Some(image) = images.find(&id)? {
        for published in &published {
            if let Some(name) = published.image.parse().ok().filter(|_| !published.image.contains(":/")) {
                images.pushed(&image, &name)?;
            }
        }
    }
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|source| Failure::Write { path: path.to_owned(), source })
    };
    if let Some(path) = &args.iidfile {
        write(path, id.clone())?;
    }
    if let Some(path) = &args.metadata_file {
        write(path, format!("{:#}\n", metadata(&published, first)))?;
    }
    if args.quiet { print(&id) } else { Ok(()) }
}

fn metadata(published: &[Published], first: &Published) -> serde_json::Value {
    let mut names: Vec<&str> = Vec::new();
    for name in published.iter().flat_map(|published| &published.names) {
        // Not by digest, as an image without names has one.
        let name = name.strip_prefix("local:").unwrap_or(name);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    let mut metadata = json!({
        "containerimage.config.digest": first.config,
        "containerimage.descriptor": { "mediaType": first.media_type, "digest": first.digest, "size": first.size },
        "containerimage.digest": first.digest,
    });
    if !names.is_empty() {
        metadata["image.name"] = json!(names.join(","));
    }
    metadata
}
