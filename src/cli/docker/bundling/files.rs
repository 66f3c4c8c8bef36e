//! The files of a bundle.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use walkdir::WalkDir;

use crate::cli::docker::names::matches;
use crate::cli::output::exit::Failure;

/// Copies a directory's content, with links followed, as `rsync -rL` does.
pub fn copy(from: &Path, to: &Path, exclude: &[String]) -> Result<(), Failure> {
    let read = |what: &Path, source| Failure::Read { what: what.display().to_string(), source };
    let write = |path: &Path, source| Failure::Write { path: path.to_owned(), source };
    let entries = WalkDir::new(from).follow_links(true).min_depth(1).sort_by_file_name().into_iter();
    let is_kept = |entry: &walkdir::DirEntry| {
        let below = entry.path().strip_prefix(from).unwrap_or(entry.path());
        entry.depth() == 0
            || !exclude.iter().any(|pattern| excludes(pattern, below, entry.file_type().is_dir()))
    };
    for entry in entries.filter_entry(is_kept) {
        let entry = entry.map_err(|error| {
            let what = error.path().unwrap_or(from).to_owned();
            read(&what, error.into())
        })?;
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).map_err(|source| write(&target, source))?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &target).map_err(|source| write(&target, source))?;
        }
    }
    Ok(())
}

/// Whether a pattern of rsync's `--exclude` fits a path: with a slash inside it fits the end of the path, with one before
/// it the whole path, and else the name.
///
/// <https://download.samba.org/pub/rsync/rsync.1#PATTERN_MATCHING_RULES>
fn excludes(pattern: &str, path: &Path, is_dir: bool) -> bool {
    let (pattern, only_dirs) = match pattern.strip_suffix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    if only_dirs && !is_dir {
        return false;
    }
    let parts: Vec<_> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let (pattern, anchored) = match pattern.strip_prefix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let wanted: Vec<_> = pattern.split('/').collect();
    let Some(start) = parts.len().checked_sub(wanted.len()) else { return false };
    let fits = wanted.iter().zip(&parts[start..]);
    (start == 0 || !anchored)
        && fits.into_iter().all(|(wanted, part)| matches(wanted.as_bytes(), part.as_bytes()))
}

/// Unpacks the files below `place` of the only image of an OCI layout to a directory. The layers are lbuild's own, without
/// deletions.
pub fn unpack(layout: &Path, place: &str, to: &Path) -> Result<(), Failure> {
    let blob = |digest: &Value| {
        let hex = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:")).unwrap_or_default();
        layout.join("blobs/sha256").join(hex)
    };
    let index = json(&layout.join("index.json"))?;
    let manifest = json(&blob(&index["manifests"][0]["digest"]))?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let path = blob(&layer["digest"]);
        unpack_layer(&path, place, to).map_err(|source| Failure::Write { path: to.to_owned(), source })?;
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value, Failure> {
    let read = |source: io::Error| Failure::Read { what: path.display().to_string(), source };
    serde_json::from_slice(&fs::read(path).map_err(read)?).map_err(|error| read(error.into()))
}

fn unpack_layer(layer: &Path, place: &str, to: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(layer)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = PathBuf::from("/").join(entry.path()?);
        let Ok(below) = path.strip_prefix(place).map(Path::to_owned) else { continue };
        if below.as_os_str().is_empty() {
            continue;
        }
        let target = to.join(&below);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        // pip replaces files that are there.
        if !entry.header().entry_type().is_dir()
            && target.symlink_metadata().is_ok_and(|found| !found.is_dir())
        {
            fs::remove_file(&target)?;
        }
        entry.set_preserve_mtime(false);
        entry.unpack(&target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_excludes_what_rsync_excludes() {
        for (pattern, path, is_dir, expected) in [
            ("*.md", "a/b.md", false, true),
            ("tests", "a/tests", true, true),
            ("tests/", "a/tests", false, false),
            ("/tests", "a/tests", true, false),
            ("/tests", "tests", true, true),
            ("a/b", "x/a/b", true, true),
            ("a/b", "x/b", true, false),
            ("*.py", "a/b.pyc", false, false),
        ] {
            assert_eq!(excludes(pattern, Path::new(path), is_dir), expected, "{pattern} {path}");
        }
    }
}
