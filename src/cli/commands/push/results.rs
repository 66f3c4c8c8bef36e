//! The results of a push: on standard output, and in files for other tools.

use std::path::Path;

use lbuild::{Published, Sent};
use serde_json::json;

use crate::cli::args::push::Push;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// Writes the results; the files are for complete pushes only.
pub fn report(args: &Push, sent: Sent, report: &Report) -> Result<(), Failure> {
    if sent.failures.is_empty() && !args.destination.dry_run {
        write(args, &sent.published)?;
    }
    print(sent, report)
}

/// Prints the results. If a destination or a tag failed, the images at the others are still printed, and the first failure
/// is returned.
pub fn print(sent: Sent, report: &Report) -> Result<(), Failure> {
    let Sent { published, failures } = sent;
    published.iter().try_for_each(|published| report.published(published))?;
    let mut failures = failures.into_iter().map(Failure::from);
    let Some(first) = failures.next() else { return Ok(()) };
    failures.for_each(|other| report.warn(&other.chain().join(": "), other.hint().as_deref()));
    Err(first)
}

/// Writes the metadata file, with BuildKit's keys, and the digest file, in Podman's format. Creates missing
/// directories.
pub fn write(args: &Push, published: &[Published]) -> Result<(), Failure> {
    let Some(first) = published.first() else { return Ok(()) };
    if let Some(path) = &args.digest_file {
        write_file(path, &format!("{}\n", first.digest))?;
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
        write_file(path, &format!("{metadata:#}\n"))?;
    }
    Ok(())
}

/// Writes a file for other tools, and the directories that it is in.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    parent
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| Failure::Write { path: path.to_owned(), source })
}
