//! Archives that `ADD` unpacks. They are recognised by their content, never by their name.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::image::Compression;
use crate::layer::{LayerReader, MAX_LAYER};
use crate::recipe::Origin;
use crate::source::image::{ImageView, Selection, contents_of, members_of};
use crate::store::Cache;
use crate::tree::{EntryKind, FileTree, Member};

/// The files of an archive, with their modes and owners; `None` if the file is not an archive: a tar, or one that
/// gzip, bzip2, xz or zstd compressed.
///
/// # Errors
/// When the archive is damaged, or holds what no directory can.
pub(super) fn unpack(
    file: &Path,
    origin: &Origin,
    cache: &Cache,
    stop: &AtomicBool,
) -> Result<Option<FileTree>> {
    let Some(mut reader) = open(file)? else { return Ok(None) };
    // A file is an archive if its first header is readable; what follows must then be readable too.
    let Ok(Some(_)) = reader.next() else { return Ok(None) };
    let broken = |source: Error| match source {
        Error::LayerRead { source } => origin.failed(
            format!("the archive {} is damaged: {source}", file.display()),
            Some("copy it as it is with COPY, or with ADD --unpack=false".to_owned()),
        ),
        other => other,
    };
    let Some(mut reader) = open(file)? else { return Ok(None) };
    let lists = vec![members_of(&mut reader, stop).map_err(broken)?];
    reader.finish().map_err(broken)?;
    if let Some(member) = lists[0].iter().find(|member| is_whiteout(member)) {
        let path = member.path.to_string();
        return Err(origin.failed(
            format!("{} holds {path}, the mark of a deleted file in a layer", file.display()),
            None,
        ));
    }
    let of = ImageView::of(&lists);
    let refused = |member: &Member<u64>, fault: &str| {
        let path = member.path.to_string();
        Err(origin.failed(format!("{}: the entry {path} {fault}", file.display()), None))
    };
    if let Some(member) = lists[0].iter().find(|member| member.is_outside()) {
        return refused(member, "is outside the directory into which the archive is unpacked");
    }
    if let Some(entry) = of.view.below("").find(|entry| of.view.inode(*entry).is_none()) {
        return refused(entry.member, "is a hard link to a file that the archive does not hold");
    }
    let mut selection = Selection::default();
    for entry in of.view.below("") {
        selection.take(&of, entry.member.path.as_bytes().to_vec(), entry);
    }
    let Some(mut reader) = open(file)? else { return Ok(None) };
    let contents = contents_of(&mut reader, &selection.members_of(0), cache, stop).map_err(broken)?;
    selection.tree(&contents.into_iter().map(|(at, content)| ((0, at), content)).collect()).map(Some)
}

fn is_whiteout(member: &Member<u64>) -> bool {
    matches!(member.entry.kind, EntryKind::Whiteout | EntryKind::Opaque)
}

/// A reader of the file; `None` for an empty one.
fn open(path: &Path) -> Result<Option<LayerReader<Box<dyn BufRead>>>> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut file = BufReader::with_capacity(64 << 10, File::open(path).map_err(unreadable)?);
    let start = file.fill_buf().map_err(unreadable)?;
    if start.is_empty() {
        return Ok(None);
    }
    let (compression, bytes): (_, Box<dyn BufRead>) = match start {
        [b'B', b'Z', b'h', ..] => {
            (Compression::None, Box::new(BufReader::new(bzip2::bufread::MultiBzDecoder::new(file))))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            (Compression::None, Box::new(BufReader::new(lzma_rust2::XzReader::new(file, true))))
        }
        start => (Compression::sniff(start), Box::new(file)),
    };
    Ok(Some(LayerReader::new(bytes, compression, MAX_LAYER)))
}
