//! The files that a push writes for other tools.

use std::path::Path;

use lbuild::Published;
use serde_json::json;

use crate::cli::args::push::Push;
use crate::cli::output::exit::Failure;

/// Writes the metadata file, with BuildKit's keys, and the digest file, in Podman's format. Creates missing
/// directories.
pub fn write(args: &Push, published: &[Published]) -> Result<(), Failure> {
    let Some(first) = published.first() else { return Ok(()) };
    let write_file = |path: &Path, text: String| {
        let parent = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        parent
            .and_then(|()| std::fs::write(path, text))
            .map_err(|source| Failure::Write { path: path.to_owned(), source })
    };
    if let Some(path) = &args.digest_file {
        write_file(path, format!("{}\n", first.digest))?;
    }
    if let Some(path) = &args.metadata_file {
        let names: Vec<_> = published.iter().flat_map(|published| published.names.clone()).collect();
        let metadata = json!({
            "containerimage.config.digest": first.config,
            "containerimage.descriptor": { "mediaType": first.media_type, "digest": first.digest, "size": first.size },
            "containerimage.digest": first.digest,
            "image.name": names.join(","),
            "lbuild.images": published,
        });
        write_file(path, format!("{metadata:#}\n"))?;
    }
    Ok(())
}
